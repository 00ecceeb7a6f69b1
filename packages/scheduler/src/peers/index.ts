export { asteroid } from './asteroid.js';
export { comparePeers, type PeerResult } from './compare-peers.js';
export { zero1, zero2, zero3 } from './data-parallel.js';
export { jora } from './jora.js';
export { peers } from './peers.js';
export {
  computeWeighted,
  deepSpeedPipelineParameters,
  deepSpeedPipelineUniform,
  equalSplit,
  gpipePipeline,
  memoryWeighted,
  mLora,
  singleDevice,
} from './pipelines.js';
export { type Strategy, type StrategyCandidate, tuneStrategy, type TuneStrategyOptions } from './strategy.js';
