/** All strategies ContextGear is compared with. */
import { zero1, zero3 } from './data-parallel.js';
import { asteroid, pac } from './hybrid-pipelines.js';
import { jora } from './jora.js';
import {
  deepSpeedPipelineByHand,
  deepSpeedPipelineParameters,
  deepSpeedPipelineUniform,
  gpipePipeline,
  memoryWeighted,
  mLora,
  singleDevice,
} from './pipelines.js';
import type { Strategy } from './strategy.js';

export const peers: readonly Strategy[] = [
  singleDevice,
  memoryWeighted,
  zero1,
  zero3,
  deepSpeedPipelineUniform,
  deepSpeedPipelineParameters,
  deepSpeedPipelineByHand,
  gpipePipeline,
  jora,
  mLora,
  asteroid,
  pac,
];
