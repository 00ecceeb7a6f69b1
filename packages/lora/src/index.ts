export { LoraError, type LoraErrorCode } from './lora-error.js';
export { keyedRandom, type KeyedRandom } from './keyed-random.js';
export {
  allocateByData,
  allocateByImportance,
  allocateByLevel,
  allocateByShare,
  allocateFixed,
  allocateUniform,
  type Allocate,
  type Importance,
  type AllocationTask,
} from './partition/allocate.js';
export { addTask, keepRanks, removeTask } from './partition/change-tasks.js';
export { masksFor, type ActiveSpan, type LayerMask, type Role, type Roles } from './partition/masks.js';
export { partitionRanks, type PartitionRanksOptions } from './partition/partition-ranks.js';
export {
  closureOf,
  rankOfLayer,
  scaleOf,
  type LinearShape,
  type Partition,
  type PartitionLayer,
  type PartitionTask,
  type Span,
} from './partition/partition.js';
export { validatePartition } from './partition/validate-partition.js';
export {
  segmentModules,
  segmentOf,
  type AdapterModule,
  type AdapterModules,
} from './segments/adapter-module.js';
export { composeTask } from './segments/compose-task.js';
export {
  initialiseSegment,
  initialiseSegments,
  type Segment,
  type SegmentMatrices,
  type Segments,
} from './segments/segment.js';
