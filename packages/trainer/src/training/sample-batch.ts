/** The examples of a step: a pure function of the step, so that a resumed run continues where it stopped. */
import { keyedRandom } from '@contextlora/lora';

import { TrainerError } from '../trainer-error.js';

/**
 * Indices of the examples of step `step`: consecutive slices of one fresh shuffle per epoch, keyed by (seed, task, epoch).
 *
 * Every example is seen once per epoch, and a batch may straddle two epochs.
 *
 * @throws TrainerError (`TRAINER_INPUT_INVALID`) when the task has no examples.
 */
export function sampleBatch(
  exampleCount: number,
  batchSize: number,
  { seed, task, step }: { seed: number; task: string; step: number },
): number[] {
  if (exampleCount < 1)
    throw new TrainerError('TRAINER_INPUT_INVALID', 'sampleBatch', `task "${task}" has no training examples`);
  const epochs = new Map<number, readonly number[]>();
  const shuffled = (epoch: number) => {
    let order = epochs.get(epoch);
    if (!order) {
      const identity = Array.from({ length: exampleCount }, (_, index) => index);
      order = keyedRandom(seed, 'batches', task, epoch).shuffle(identity);
      epochs.set(epoch, order);
    }
    return order;
  };
  return Array.from({ length: batchSize }, (_, offset) => {
    const position = step * batchSize + offset;
    // `position % exampleCount` is a valid index of the shuffle
    return shuffled(Math.floor(position / exampleCount))[position % exampleCount] ?? 0;
  });
}
