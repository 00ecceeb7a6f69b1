/** Attention over cached keys and values in plain loops, for the reference ground. */
import * as tf from '@tensorflow/tfjs-core';

import type { Kernels, RotaryTable } from './kernels.js';
import { type BlockCache, type CacheBlock, makeRoom, openBlockCache } from './key-value-cache.js';
import { requireShape } from './require-shape.js';

function allocate(floats: number): CacheBlock {
  const values = new Float32Array(floats);
  return { address: 0, view: () => values, free: () => undefined };
}

/** (l, r) → (l·cos − r·sin, r·cos + l·sin) */
function turned(head: Float32Array, { cos, sin, halfDim }: RotaryTable, position: number): Float32Array {
  return Float32Array.from(head, (value, i) => {
    const at = position * halfDim + (i % halfDim);
    const [c, s] = [cos[at]!, sin[at]!];
    return i < halfDim ? value * c - head[i + halfDim]! * s : value * c + head[i - halfDim]! * s;
  });
}

export const referenceCachedAttention: Pick<Kernels, 'openCache' | 'cachedAttention'> = {
  openCache: (shape) => openBlockCache(shape, allocate),

  cachedAttention(q, k, v, given, { layer, heads, counts }) {
    const cache = given as BlockCache;
    const { kvHeads, headDim: d, rotary } = cache.shape;
    const { batch } = cache;
    const time = q.shape[0] / batch;
    requireShape('cachedAttention', 'q', q, [batch * time, heads * d]);
    requireShape('cachedAttention', 'k', k, [batch * time, kvHeads * d]);
    requireShape('cachedAttention', 'v', v, [batch * time, kvHeads * d]);
    makeRoom(cache, counts);
    const { capacity, lengths } = cache;
    const [keys, values] = [cache.keys[layer]!.view(), cache.values[layer]!.view()];
    const [newQueries, newKeys, newValues] = [q, k, v].map((x) => x.dataSync() as Float32Array);
    const headOf = (rows: Float32Array, width: number, row: number, head: number) =>
      rows.subarray((row * width + head) * d, (row * width + head + 1) * d);
    const place = (item: number, head: number, position: number) =>
      ((item * kvHeads + head) * capacity + position) * d;
    const y = new Float32Array(batch * time * heads * d);
    for (let item = 0; item < batch; item++)
      for (let t = 0; t < counts[item]!; t++) {
        const position = lengths[item]! + t;
        const row = item * time + t;
        for (let head = 0; head < kvHeads; head++) {
          keys.set(
            turned(headOf(newKeys!, kvHeads, row, head), rotary, position),
            place(item, head, position),
          );
          values.set(headOf(newValues!, kvHeads, row, head), place(item, head, position));
        }
        for (let head = 0; head < heads; head++) {
          const query = turned(headOf(newQueries!, heads, row, head), rotary, position);
          const shared = Math.floor((head * kvHeads) / heads);
          const scores = Array.from({ length: position + 1 }, (_, key) => {
            const at = place(item, shared, key);
            return query.reduce((sum, value, i) => sum + value * keys[at + i]!, 0) / Math.sqrt(d);
          });
          const highest = Math.max(...scores);
          const powers = scores.map((score) => Math.exp(score - highest));
          const total = powers.reduce((sum, power) => sum + power, 0);
          for (let i = 0; i < d; i++)
            y[(row * heads + head) * d + i] = powers.reduce(
              (sum, power, key) => sum + (power / total) * values[place(item, shared, key) + i]!,
              0,
            );
        }
      }
    return tf.tensor2d(y, [batch * time, heads * d]);
  },
};
