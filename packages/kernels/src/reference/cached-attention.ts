/** Attention of the reference backend over cached keys and values, which it keeps as tensors. */
import * as tf from '@contextlora/kernels/tfjs';

import type { NewPositions, CacheShape, Kernels, RotaryTable } from '../kernels.js';
import { type CacheStore, makeRoom, openStoredCache, type StoredCache } from '../key-value-cache.js';
import { requireShape } from '../require-shape.js';
import { fromHeads, toHeads, turnHalves } from './attention.js';
import { softmax } from './column-sums.js';

interface CacheTensors extends CacheStore<CacheTensors> {
  /** One per decoder layer, `[batch · kvHeads · capacity, headDim]`. */
  readonly keys: tf.Tensor2D[];
  readonly values: tf.Tensor2D[];
}

function openCacheTensors({ layers, batch, kvHeads, headDim }: CacheShape, capacity: number): CacheTensors {
  const zeros = () =>
    Array.from({ length: layers }, () =>
      tf.keep(tf.zeros<tf.Rank.R2>([batch * kvHeads * capacity, headDim])),
    );
  const [keys, values] = [zeros(), zeros()];
  return {
    keys,
    values,
    rearrange({ rows, from, to, others }) {
      const source = rows.flatMap((row) => {
        const isOther = others !== undefined && row >= others.first;
        // The other cache's floats follow those of this one.
        const place = isOther
          ? { start: others.first * kvHeads * from, row: row - others.first, capacity: others.from }
          : { start: 0, row, capacity: from };
        return Array.from({ length: kvHeads * to }, (_, i) => {
          const [head, position] = [Math.floor(i / to), i % to];
          return position < place.capacity
            ? place.start + (place.row * kvHeads + head) * place.capacity + position
            : nowhere;
        });
      });
      for (const [layer, old] of keys.entries())
        keys[layer] = gatherFrom(old, others?.store.keys[layer], source);
      for (const [layer, old] of values.entries())
        values[layer] = gatherFrom(old, others?.store.values[layer], source);
    },
    dispose() {
      tf.dispose([keys, values]);
    },
  };
}

const nowhere = -1;

/** Row i of the result is row `source[i]` of the old rows followed by the added ones, or zeros; frees the old. */
function gatherFrom(
  old: tf.Tensor2D,
  added: tf.Tensor2D | undefined,
  source: readonly number[],
): tf.Tensor2D {
  const made = tf.tidy(() => {
    const parts = [old, ...(added ? [added] : []), tf.zeros<tf.Rank.R2>([1, old.shape[1]])];
    const all = tf.concat2d(parts, 0);
    const rows = Int32Array.from(source, (row) => (row === nowhere ? all.shape[0] - 1 : row));
    return tf.gather(all, tf.tensor1d(rows, 'int32'));
  });
  old.dispose();
  // The cache outlives the tidy scope of the pass that fills it.
  return tf.keep(made);
}

/** Cosines or sines of positions, `[batch, time, 1, halfDim]`. */
function angles(values: Float32Array, { halfDim }: RotaryTable, positions: readonly number[][]): tf.Tensor4D {
  const rows = positions
    .flat()
    .map((position) => values.subarray(position * halfDim, (position + 1) * halfDim));
  const all = new Float32Array(rows.length * halfDim);
  for (const [i, row] of rows.entries()) all.set(row, i * halfDim);
  return tf.tensor4d(all, [positions.length, positions[0]?.length ?? 0, 1, halfDim]);
}

export const referenceCachedAttention: Pick<Kernels, 'openCache' | 'cachedAttention'> = {
  openCache: (shape) => openStoredCache(shape, (capacity) => openCacheTensors(shape, capacity)),

  cachedAttention(q, k, v, given, { layer, heads, counts }: NewPositions) {
    const cache = given as StoredCache<CacheTensors>;
    const { kvHeads, headDim, rotary } = cache.shape;
    const { batch, store } = cache;
    const time = q.shape[0] / batch;
    requireShape('cachedAttention', 'q', q, [batch * time, heads * headDim]);
    requireShape('cachedAttention', 'k', k, [batch * time, kvHeads * headDim]);
    requireShape('cachedAttention', 'v', v, [batch * time, kvHeads * headDim]);
    makeRoom(cache, counts);
    const { capacity, lengths } = cache;
    // Padding rows are put at the last position.
    const positions = lengths.map((length) =>
      Array.from({ length: time }, (_, t) => Math.min(length + t, rotary.time - 1)),
    );
    return tf.tidy(() => {
      const shape = { batch, time, kvHeads, headDim };
      const turns = {
        cos: angles(rotary.cos, rotary, positions),
        sin: angles(rotary.sin, rotary, positions),
      };
      const turned = (x: tf.Tensor2D, count: number) =>
        turnHalves(x, turns, { batch, time, heads: count, headDim });

      const source = lengths.flatMap((length, item) =>
        Array.from({ length: kvHeads * capacity }, (_, i) => {
          const [head, position] = [Math.floor(i / capacity), i % capacity];
          const t = position - length;
          if (t < 0) return item * kvHeads * capacity + i;
          return t < counts[item]!
            ? batch * kvHeads * capacity + (item * time + t) * kvHeads + head
            : nowhere;
        }),
      );
      const add = (old: tf.Tensor2D, x: tf.Tensor2D) =>
        gatherFrom(old, tf.reshape<tf.Rank.R2>(x, [batch * time * kvHeads, headDim]), source);
      const keys = (store.keys[layer] = add(store.keys[layer]!, turned(k, kvHeads)));
      const values = (store.values[layer] = add(store.values[layer]!, v));

      const split = (x: tf.Tensor2D) => tf.reshape<tf.Rank.R3>(x, [batch * kvHeads, capacity, headDim]);
      const groupTime = (heads / kvHeads) * time;
      const hidden = Float32Array.from({ length: batch * groupTime * capacity }, (_, i) => {
        const row = Math.floor(i / capacity);
        return i % capacity <= positions[Math.floor(row / groupTime)]![row % time]! ? 0 : -1e9;
      });
      const queries = toHeads(turned(q, heads), heads, shape);
      const scores = tf.mul(tf.matMul(queries, split(keys), false, true), 1 / Math.sqrt(headDim));
      const masked = tf.add(
        tf.reshape(scores, [batch, kvHeads, groupTime, capacity]),
        tf.tensor4d(hidden, [batch, 1, groupTime, capacity]),
      );
      const p = softmax(tf.reshape<tf.Rank.R3>(masked, [batch * kvHeads, groupTime, capacity]));
      return fromHeads(tf.matMul(p, split(values)), heads, shape);
    });
  },
};
