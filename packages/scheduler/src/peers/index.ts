export {
  comparePeers,
  type ComparePeersOptions,
  type PeerResult,
  taskParallelName,
} from './compare-peers.js';
export { zero1, zero3 } from './data-parallel.js';
export { asteroid, pac } from './hybrid-pipelines.js';
export { jora } from './jora.js';
export { peers } from './peers.js';
export {
  deepSpeedPipelineByHand,
  deepSpeedPipelineParameters,
  deepSpeedPipelineUniform,
  gpipePipeline,
  memoryWeighted,
  mLora,
  singleDevice,
} from './pipelines.js';
export {
  listScheduleTasks,
  type ListScheduleOptions,
  type TaskAssignment,
  type TaskSchedule,
} from './task-parallel.js';
export { type Strategy, type StrategyCandidate, tuneStrategy, type TuneStrategyOptions } from './strategy.js';
