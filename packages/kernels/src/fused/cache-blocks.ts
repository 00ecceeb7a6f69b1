/** The keys and values of a cache as blocks of the heap. */
import type { CacheShape } from '../kernels.js';
import type { CacheStore } from '../key-value-cache.js';

/** Floats at an address. */
export interface CacheBlock {
  /** Valid until the next allocation. */
  view(): Float32Array;
  /** Byte address. */
  readonly address: number;
  free(): void;
}

export interface CacheBlocks extends CacheStore<CacheBlocks> {
  /** One per decoder layer, `[batch, kvHeads, capacity, headDim]`. */
  readonly keys: readonly CacheBlock[];
  readonly values: readonly CacheBlock[];
  /** For the first `capacity` positions, `[capacity, headDim / 2]`. */
  readonly cosines: CacheBlock;
  readonly sines: CacheBlock;
}

/** Opens the blocks of a cache with memory from `allocate`. */
export function openCacheBlocks(
  { batch: firstBatch, layers, kvHeads, headDim, rotary }: CacheShape,
  firstCapacity: number,
  allocate: (floats: number) => CacheBlock,
): CacheBlocks {
  const filled = (values: Float32Array) => {
    const block = allocate(values.length);
    block.view().set(values);
    return block;
  };
  const table = (values: Float32Array, capacity: number) =>
    filled(values.subarray(0, capacity * rotary.halfDim));
  const floatsOf = (batch: number, positions: number) => batch * kvHeads * positions * headDim;
  const blocks = () => Array.from({ length: layers }, () => allocate(floatsOf(firstBatch, firstCapacity)));
  let [keys, values] = [blocks(), blocks()];
  let [cosines, sines] = [table(rotary.cos, firstCapacity), table(rotary.sin, firstCapacity)];

  return {
    get keys() {
      return keys;
    },
    get values() {
      return values;
    },
    get cosines() {
      return cosines;
    },
    get sines() {
      return sines;
    },
    /** Copies one block after the other, so that only one exists twice. */
    rearrange({ rows, from, to, others }) {
      const move = (old: CacheBlock, other: CacheBlock | undefined) => {
        const made = allocate(floatsOf(rows.length, to));
        const target = made.view();
        const own = { source: old.view(), capacity: from, first: 0 };
        const added = others && other && { source: other.view(), capacity: others.from, first: others.first };
        for (const [i, row] of rows.entries()) {
          const { source, capacity, first } = added && row >= added.first ? added : own;
          const kept = Math.min(capacity, to) * headDim;
          for (let head = 0; head < kvHeads; head++) {
            const at = ((row - first) * kvHeads + head) * capacity * headDim;
            target.set(source.subarray(at, at + kept), (i * kvHeads + head) * to * headDim);
          }
        }
        old.free();
        return made;
      };
      keys = keys.map((old, layer) => move(old, others?.store.keys[layer]));
      values = values.map((old, layer) => move(old, others?.store.values[layer]));
      if (from === to) return;
      cosines.free();
      sines.free();
      [cosines, sines] = [table(rotary.cos, to), table(rotary.sin, to)];
    },
    dispose() {
      for (const block of [...keys, ...values, cosines, sines]) block.free();
      [keys, values] = [[], []];
    },
  };
}
