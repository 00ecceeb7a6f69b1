/** The bookkeeping of a cache of keys and values; where the floats lie is its ground's business. */
import type { CacheShape, KeyValueCache } from './kernels.js';

/** Floats that a ground can reach. */
export interface CacheBlock {
  /** Valid until the next allocation. */
  view(): Float32Array;
  /** Byte address, where the ground has one. */
  readonly address: number;
  free(): void;
}

export interface BlockCache extends KeyValueCache {
  /** Per layer `[batch, kvHeads, capacity, headDim]`. */
  readonly keys: readonly CacheBlock[];
  readonly values: readonly CacheBlock[];
  /** Of the first `capacity` positions: `[capacity, headDim / 2]`. */
  readonly cosines: CacheBlock;
  readonly sines: CacheBlock;
}

const defaultCapacity = 64;

/** Opens a cache over blocks that `allocate` makes. */
export function openBlockCache(shape: CacheShape, allocate: (floats: number) => CacheBlock): BlockCache {
  const { layers, kvHeads, headDim, rotary } = shape;
  const most = rotary.time;
  const bound = (positions: number) => {
    if (positions <= most) return;
    throw new Error(
      `kernels/cache: ${positions} positions were asked for, and the model has ${most}; shorten the prompt or generate less`,
    );
  };
  let capacity = Math.min(most, Math.max(1, shape.capacity ?? defaultCapacity));
  let lengths = new Array<number>(shape.batch).fill(0);
  const filled = (values: Float32Array) => {
    const block = allocate(values.length);
    block.view().set(values);
    return block;
  };
  const table = (values: Float32Array) => filled(values.subarray(0, capacity * rotary.halfDim));
  const floatsOf = (batch: number, positions: number) => batch * kvHeads * positions * headDim;
  const blocks = () => Array.from({ length: layers }, () => allocate(floatsOf(shape.batch, capacity)));
  let [keys, values] = [blocks(), blocks()];
  let [cosines, sines] = [table(rotary.cos), table(rotary.sin)];

  /** Copies every block to the rows and the room wanted, one after the other. */
  const relay = (rows: readonly number[], room: number) => {
    const from = capacity;
    const kept = Math.min(from, room) * headDim;
    const move = (old: CacheBlock) => {
      const made = allocate(floatsOf(rows.length, room));
      const [source, target] = [old.view(), made.view()];
      for (const [i, row] of rows.entries())
        for (let head = 0; head < kvHeads; head++) {
          const at = (row * kvHeads + head) * from * headDim;
          target.set(source.subarray(at, at + kept), (i * kvHeads + head) * room * headDim);
        }
      old.free();
      return made;
    };
    keys = keys.map(move);
    values = values.map(move);
    lengths = rows.map((row) => lengths[row]!);
    if (room === capacity) return;
    capacity = room;
    cosines.free();
    sines.free();
    [cosines, sines] = [table(rotary.cos), table(rotary.sin)];
  };
  const all = () => lengths.map((_, row) => row);
  const requireRows = (what: string, given: readonly number[]) => {
    if (given.length !== lengths.length)
      throw new Error(`kernels/cache: ${what} must name ${lengths.length} rows, got ${given.length}`);
  };

  return {
    shape,
    get batch() {
      return lengths.length;
    },
    get capacity() {
      return capacity;
    },
    get lengths() {
      return lengths;
    },
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
    get memoryBytes() {
      return 4 * (2 * layers * floatsOf(lengths.length, capacity) + 2 * capacity * rotary.halfDim);
    },
    reserve(positions) {
      bound(positions);
      if (positions <= capacity) return;
      relay(all(), positions);
    },
    advance(counts) {
      requireRows('advance', counts);
      const next = lengths.map((length, row) => length + counts[row]!);
      if (Math.max(...next) > capacity)
        throw new Error('kernels/cache: advance past what attention has written');
      lengths = next;
    },
    truncate(wanted) {
      requireRows('truncate', wanted);
      for (const [row, length] of wanted.entries())
        if (!(Number.isInteger(length) && length >= 0 && length <= lengths[row]!))
          throw new Error(
            `kernels/cache: row ${row} has ${lengths[row]!} positions and cannot keep ${length}`,
          );
      lengths = [...wanted];
    },
    select(rows) {
      for (const row of rows)
        if (!(Number.isInteger(row) && row >= 0 && row < lengths.length))
          throw new Error(`kernels/cache: there is no row ${row}; there are ${lengths.length}`);
      if (rows.length === lengths.length && rows.every((row, i) => row === i)) return;
      relay(rows, capacity);
    },
    dispose() {
      for (const block of [...keys, ...values, cosines, sines]) block.free();
      [keys, values] = [[], []];
    },
  };
}

/** Room for the new positions of a step: twice as much as before whenever it is used up. */
export function makeRoom(cache: BlockCache, counts: readonly number[]): void {
  if (counts.length !== cache.batch)
    throw new Error(`kernels/cachedAttention: counts must name ${cache.batch} rows, got ${counts.length}`);
  const needed = Math.max(...cache.lengths.map((length, row) => length + counts[row]!));
  if (needed <= cache.capacity) return;
  cache.reserve(Math.max(needed, Math.min(2 * cache.capacity, cache.shape.rotary.time)));
}
