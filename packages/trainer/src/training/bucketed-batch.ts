/** Batches of examples of similar length, so that little is padded. */
import { keyedRandom } from '@contextlora/lora';

import type { SampleBatch } from './sample-batch.js';

/** Batches among whose examples lengths are sorted; more would pad less and mix less. */
const windowBatches = 16;

/**
 * As `sampleBatch`, every example once per epoch; but within each 16 batches of an epoch's shuffle the examples are sorted by length, and
 * the batches then come in a shuffled order. Keyed by (seed, task, epoch); `lengths` has one number per example.
 */
export function bucketedBatch(lengths: readonly number[]): SampleBatch {
  let known: { readonly key: string; readonly order: readonly number[] } | undefined;
  return (exampleCount, batchSize, { seed, task, step }) => {
    const orderOf = (epoch: number) => {
      const key = JSON.stringify([exampleCount, batchSize, seed, task, epoch]);
      if (known?.key !== key) {
        const random = keyedRandom(seed, 'length-buckets', task, epoch);
        // An epoch begins where the last batch of the one before it still has room.
        const room = (batchSize - ((epoch * exampleCount) % batchSize)) % batchSize;
        known = { key, order: bucketedOrder(lengths, { exampleCount, batchSize, room }, random) };
      }
      return known.order;
    };
    return Array.from({ length: batchSize }, (_, offset) => {
      const position = step * batchSize + offset;
      return orderOf(Math.floor(position / exampleCount))[position % exampleCount] ?? 0;
    });
  };
}

function bucketedOrder(
  lengths: readonly number[],
  { exampleCount, batchSize, room }: { exampleCount: number; batchSize: number; room: number },
  random: ReturnType<typeof keyedRandom>,
): number[] {
  const shuffled = random.shuffle(Array.from({ length: exampleCount }, (_, index) => index));
  const window = windowBatches * batchSize;
  const sorted = Array.from({ length: Math.ceil(exampleCount / window) }, (_, i) =>
    shuffled
      .slice(i * window, (i + 1) * window)
      .sort((p, q) => (lengths[p] ?? 0) - (lengths[q] ?? 0) || p - q),
  ).flat();
  const whole = Math.floor(Math.max(0, exampleCount - room) / batchSize);
  const end = room + whole * batchSize;
  const batches = Array.from({ length: whole }, (_, i) =>
    sorted.slice(room + i * batchSize, room + (i + 1) * batchSize),
  );
  // What shares a batch with another epoch stays at the ends.
  return [...sorted.slice(0, room), ...random.shuffle(batches).flat(), ...sorted.slice(end)];
}
