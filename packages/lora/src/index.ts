export {
  allocateByDepth,
  allocateByShare,
  allocateUniform,
  type Allocate,
  type AllocationTask,
} from './allocate.js';
export { keyedRandom, type KeyedRandom } from './keyed-random.js';
export { masksFor, type ActiveSpan, type LayerMask } from './masks.js';
export { readPartition, writePartition } from './partition-files.js';
export {
  addTask,
  closureOf,
  partitionRanks,
  rankOfLayer,
  removeTask,
  scaleOf,
  validatePartition,
  type PartitionRanksOptions,
} from './partition-ranks.js';
export type { LinearShape, Partition, PartitionLayer, PartitionTask, Span } from './partition.js';
export {
  composeTask,
  readPeftFolder,
  segmentModules,
  segmentOf,
  writePeftFolder,
  type AdapterModule,
  type PeftAdapter,
} from './peft-adapter.js';
export type { Role, Roles } from './roles.js';
export {
  decodeSafetensors,
  encodeSafetensors,
  parseSafetensorsHeader,
  readSafetensors,
  readSafetensorsHeader,
  writeSafetensors,
  type Safetensors,
  type SafetensorsEntry,
  type SafetensorsHeader,
} from './safetensors.js';
export {
  hashSegment,
  initialiseSegment,
  initialiseSegments,
  type Segment,
  type SegmentMatrices,
  type Segments,
} from './segments.js';
export {
  bytesPerElement,
  float32Tensor,
  halfToFloat,
  toFloat32,
  toIntegers,
  type Dtype,
  type FileTensor,
} from './tensor.js';
export { writeWhole } from './write-whole.js';
