export { keyedRandom, type KeyedRandom } from './keyed-random.js';
export type { LinearShape, Partition, PartitionLayer, PartitionTask, Span } from './partition.js';
export type { Role, Roles } from './roles.js';
export type { Segment, SegmentMatrices, Segments } from './segments.js';
