/** Attention over cached keys and values on the fast backends: the cache lies on the heap, and each new position passes over it once. */
import type { Tensor2D } from '@contextlora/kernels/tfjs';

import type { Kernels } from '../kernels.js';
import { makeRoom, openStoredCache, type StoredCache } from '../key-value-cache.js';
import { requireShape } from '../require-shape.js';
import { type CacheBlock, type CacheBlocks, openCacheBlocks } from './cache-blocks.js';
import type { FusedContext } from './context.js';

type CachedAttention = Pick<Kernels, 'openCache' | 'cachedAttention'>;

/** `attention` is that of the same backend, for passes over an empty cache. */
export function fusedCachedAttention(
  { heap, module, scratch }: FusedContext,
  attention: Kernels['attention'],
): CachedAttention {
  const allocate = (floats: number): CacheBlock => {
    const address = heap.reserve(Math.max(4, floats * 4));
    return {
      address,
      view: () => heap.floatsAt(address, floats),
      free: () => {
        heap.release(address);
      },
    };
  };
  return {
    openCache: (shape) => openStoredCache(shape, (capacity) => openCacheBlocks(shape, capacity, allocate)),

    cachedAttention(q, k, v, given, { layer, heads, counts }) {
      const cache = given as StoredCache<CacheBlocks>;
      const { kvHeads, headDim, rotary } = cache.shape;
      const { batch } = cache;
      const time = q.shape[0] / batch;
      requireShape('cachedAttention', 'q', q, [batch * time, heads * headDim]);
      requireShape('cachedAttention', 'k', k, [batch * time, kvHeads * headDim]);
      requireShape('cachedAttention', 'v', v, [batch * time, kvHeads * headDim]);
      makeRoom(cache, counts);
      const { capacity, lengths, store } = cache;
      const { cosines, sines } = store;
      const [keys, values] = [store.keys[layer]!, store.values[layer]!];
      const hasPast = lengths.some((length) => length > 0);
      const whole =
        time > 1 && !hasPast
          ? attention(q, k, v, { batch, time, heads, kvHeads, headDim, causal: true }, { table: rotary })
          : undefined;
      whole?.saved.dispose();
      const y = whole?.y ?? (heap.allocate([batch * time, heads * headDim]) as Tensor2D);
      // One request for all of it: a second would overwrite the first.
      const integersBytes = Math.ceil((batch * 8) / 16) * 16;
      const starts = scratch.room(integersBytes + (headDim + 8 + capacity) * 4);
      const countsAt = starts + batch * 4;
      const room = starts + integersBytes;
      new Int32Array(heap.memory.buffer, starts, batch * 2).set([...lengths, ...counts]);
      for (const [source, target, turn] of [
        [k, keys, 1],
        [v, values, 0],
      ] as const)
        module.appendHeads(
          heap.address(source),
          target.address,
          cosines.address,
          sines.address,
          starts,
          countsAt,
          batch,
          time,
          kvHeads,
          headDim,
          capacity,
          turn,
        );
      if (!whole)
        module.attendCached(
          heap.address(q),
          keys.address,
          values.address,
          heap.address(y),
          cosines.address,
          sines.address,
          starts,
          countsAt,
          room,
          batch,
          time,
          heads,
          kvHeads,
          headDim,
          capacity,
          1,
          1 / Math.sqrt(headDim),
        );
      return y;
    },
  };
}
