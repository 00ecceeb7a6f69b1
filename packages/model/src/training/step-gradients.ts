/** The loss and the gradients of a step, from examples to the optimizer's buffer. */
import { dispose } from '@contextlora/kernels/tfjs';

import type { LoadedModel } from '../checkpoint/load-model.js';
import { type ImageFeatures, imageFeaturesOf } from '../images/features.js';
import type { TaskSegment } from '../pass/segments.js';
import type { Example } from '../text/example.js';
import type { ActivationCache } from './activation-cache.js';
import { batchLoss, type PreparedExample } from './batch-loss.js';
import { addGradients, disposeGradients, lossAndGradients } from './gradients.js';
import { type LowerLayers, lowerOutput } from './lower-layers.js';
import type { TrainedParameters } from './trained-parameters.js';

export interface StepContext {
  readonly prepare: (example: Example) => PreparedExample;
  readonly features: ImageFeatures;
  readonly active: ReadonlyMap<string, readonly TaskSegment[]>;
  /** The layers below the lowest that trains, if their output can be kept. */
  readonly lower: LowerLayers | undefined;
  readonly activations: ActivationCache;
}

/** Adds a step's gradients to the task's buffer; returns the mean loss and the number of tokens read. */
export async function stepGradients(
  model: LoadedModel,
  microBatches: readonly (readonly Example[])[],
  { segmentGradients }: TrainedParameters,
  { prepare, features, active, lower, activations: cache }: StepContext,
): Promise<{ loss: number; tokens: number }> {
  const count = microBatches.reduce((sum, batch) => sum + batch.length, 0);
  let isFirst = true;
  let loss = 0;
  let tokens = 0;
  for (const examples of microBatches) {
    if (examples.length === 0) continue;
    const images = await imageFeaturesOf(examples, features);
    const prepared = examples.map(prepare);
    for (const { ids } of prepared) tokens += ids.length;
    const { batch, losses } = batchLoss(model, prepared, { images, weight: 1 / count });
    const sequences = prepared.map(({ ids }, i) => ({ ids, image: examples[i]?.image }));
    const input = lower && (await lowerOutput(model, batch, sequences, { lower, segments: active, cache }));
    try {
      const result = lossAndGradients(model, batch, {
        head: losses,
        segments: active,
        ...(input ? { input } : {}),
      });
      try {
        loss += await result.loss;
        await addGradients(segmentGradients, active, result.gradients, { isFirst });
      } finally {
        disposeGradients(result.gradients);
      }
    } finally {
      if (input) dispose(input);
    }
    isFirst = false;
  }
  return { loss, tokens };
}
