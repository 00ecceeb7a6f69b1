export type { Role, Roles } from './roles.js';
export type { LinearShape, Partition, PartitionLayer, PartitionTask, Span } from './partition.js';
export type { Segment, SegmentMatrices, Segments } from './segments.js';
