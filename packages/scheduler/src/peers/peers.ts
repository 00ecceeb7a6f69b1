/** All strategies ContextGear is compared with. */
import { asteroid } from './asteroid.js';
import { zero1, zero2, zero3 } from './data-parallel.js';
import { jora } from './jora.js';
import {
  computeWeighted,
  deepSpeedPipelineParameters,
  deepSpeedPipelineUniform,
  equalSplit,
  gpipePipeline,
  memoryWeighted,
  mLora,
  singleDevice,
} from './pipelines.js';
import type { Strategy } from './strategy.js';

export const peers: readonly Strategy[] = [
  singleDevice,
  equalSplit,
  memoryWeighted,
  computeWeighted,
  zero1,
  zero2,
  zero3,
  deepSpeedPipelineUniform,
  deepSpeedPipelineParameters,
  gpipePipeline,
  jora,
  mLora,
  asteroid,
];
