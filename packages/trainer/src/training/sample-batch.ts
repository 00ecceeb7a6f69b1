/** The examples of a step: a pure function of the step, so that a resumed run continues where it stopped. */
import { keyedRandom } from '@contextlora/lora';

import { TrainerError } from '../trainer-error.js';
import { openPermutation } from './keyed-permutation.js';

/** Chooses the examples of a step: indices below `exampleCount`. */
export type SampleBatch = (
  exampleCount: number,
  batchSize: number,
  key: { readonly seed: number; readonly task: string; readonly step: number },
) => number[];

/**
 * Indices of the examples of step `step`: consecutive slices of one fresh shuffle per epoch, keyed by (seed, task, epoch).
 *
 * Every example is seen once per epoch, and a batch may straddle two epochs. Above 100,000 examples the order is a keyed permutation that is
 * never written down.
 *
 * @throws TrainerError (`TRAINER_INPUT_INVALID`) when the task has no examples.
 */
export const sampleBatch: SampleBatch = (exampleCount, batchSize, { seed, task, step }) => {
  if (exampleCount < 1)
    throw new TrainerError('TRAINER_INPUT_INVALID', 'sampleBatch', `task "${task}" has no training examples`);
  const epochs = new Map<number, (position: number) => number>();
  const orderOf = (epoch: number) => {
    const known = epochs.get(epoch);
    if (known) return known;
    const random = keyedRandom(seed, 'batches', task, epoch);
    let order: (position: number) => number;
    if (exampleCount > mostShuffled) order = openPermutation(exampleCount, random);
    else {
      const shuffled = random.shuffle(Array.from({ length: exampleCount }, (_, index) => index));
      // `position` is below the number of examples.
      order = (position) => shuffled[position] ?? 0;
    }
    epochs.set(epoch, order);
    return order;
  };
  return Array.from({ length: batchSize }, (_, offset) => {
    const position = step * batchSize + offset;
    return orderOf(Math.floor(position / exampleCount))(position % exampleCount);
  });
};

/** Examples up to which an epoch is shuffled as a list, at every step again. */
const mostShuffled = 100_000;

/**
 * Batches with an equal share of every group, whatever its size: a small group is repeated instead of drowned. The examples are those of the
 * groups one after another; each group is sampled as {@link sampleBatch} does, keyed by (seed, task/group, epoch).
 */
export function stratifiedBatch(
  groups: readonly { readonly name: string; readonly count: number }[],
): SampleBatch {
  return (_, batchSize, { seed, task, step }) => {
    const share = Math.ceil(batchSize / groups.length);
    let start = 0;
    return groups.flatMap(({ name, count }) => {
      const first = start;
      start += count;
      return sampleBatch(count, share, { seed, task: `${task}/${name}`, step }).map((index) => first + index);
    });
  };
}
