/** The bookkeeping of a cache of keys and values; each backend stores the floats in its own way. */
import { KernelsError } from './kernels-error.js';
import type { CacheShape, KeyValueCache } from './kernels.js';

/** A new batch and a new capacity for a cache. */
interface CacheChange<Store> {
  /** The rows to keep, in this order. */
  readonly rows: readonly number[];
  /** The old capacity. */
  readonly from: number;
  /** The new capacity. */
  readonly to: number;
  /** Another cache's rows, numbered from `first`, and its capacity. */
  readonly others?: { readonly store: Store; readonly first: number; readonly from: number };
}

/** Where a backend keeps the floats of a cache. */
export interface CacheStore<Store> {
  rearrange(change: CacheChange<Store>): void;
  dispose(): void;
}

export interface StoredCache<Store> extends KeyValueCache {
  readonly store: Store;
}

const defaultCapacity = 64;

/** Opens a cache over a store; `open` makes the store with the first capacity. */
export function openStoredCache<Store extends CacheStore<Store>>(
  shape: CacheShape,
  open: (capacity: number) => Store,
): StoredCache<Store> {
  const { layers, kvHeads, headDim, rotary } = shape;
  const most = rotary.time;
  const bound = (positions: number) => {
    if (positions <= most) return;
    throw new KernelsError(
      'KERNELS_OUT_OF_RANGE',
      'cache',
      `${positions} positions were requested, and the model has ${most}; shorten the prompt or generate less`,
    );
  };
  let capacity = Math.min(most, Math.max(1, shape.capacity ?? defaultCapacity));
  let lengths = new Array<number>(shape.batch).fill(0);
  const store = open(capacity);
  const rearrange = (rows: readonly number[], room: number) => {
    store.rearrange({ rows, from: capacity, to: room });
    lengths = rows.map((row) => lengths[row]!);
    capacity = room;
  };
  const all = () => lengths.map((_, row) => row);
  const requireRows = (what: string, given: readonly number[]) => {
    if (given.length !== lengths.length)
      throw new KernelsError(
        'KERNELS_OPERAND_MISMATCH',
        'cache',
        `${what} must name ${lengths.length} rows, got ${given.length}`,
      );
  };

  return {
    shape,
    store,
    get batch() {
      return lengths.length;
    },
    get capacity() {
      return capacity;
    },
    get lengths() {
      return lengths;
    },
    get memoryBytes() {
      const positions = lengths.length * capacity;
      return 4 * (2 * layers * positions * kvHeads * headDim + 2 * capacity * rotary.halfDim);
    },
    reserve(positions) {
      bound(positions);
      if (positions <= capacity) return;
      rearrange(all(), positions);
    },
    advance(counts) {
      requireRows('advance', counts);
      const next = lengths.map((length, row) => length + counts[row]!);
      if (Math.max(...next) > capacity)
        throw new KernelsError(
          'KERNELS_OUT_OF_RANGE',
          'cache',
          'cannot advance past what attention has written',
        );
      lengths = next;
    },
    truncate(wanted) {
      requireRows('truncate', wanted);
      for (const [row, length] of wanted.entries())
        if (!(Number.isInteger(length) && length >= 0 && length <= lengths[row]!))
          throw new KernelsError(
            'KERNELS_OUT_OF_RANGE',
            'cache',
            `row ${row} has ${lengths[row]!} positions and cannot keep ${length}`,
          );
      lengths = [...wanted];
    },
    select(rows, others) {
      if (others) requireSameShape(shape, others.shape);
      const all = [...lengths, ...(others?.lengths ?? [])];
      for (const row of rows)
        if (!(Number.isInteger(row) && row >= 0 && row < all.length))
          throw new KernelsError(
            'KERNELS_OUT_OF_RANGE',
            'cache',
            `there is no row ${row}; there are ${all.length}`,
          );
      if (rows.length === lengths.length && rows.every((row, i) => row === i)) return;
      const to = Math.max(capacity, others?.capacity ?? 0);
      store.rearrange({
        rows,
        from: capacity,
        to,
        ...(others
          ? {
              others: {
                store: (others as StoredCache<Store>).store,
                first: lengths.length,
                from: others.capacity,
              },
            }
          : {}),
      });
      lengths = rows.map((row) => all[row]!);
      capacity = to;
    },
    dispose() {
      store.dispose();
    },
  };
}

/** Rows can move between caches of one model and one backend. */
function requireSameShape(shape: CacheShape, other: CacheShape): void {
  const [mine, theirs] = [shape, other].map(
    ({ layers, kvHeads, headDim }) => `${layers} layers of ${kvHeads} × ${headDim}`,
  );
  if (mine === theirs && shape.rotary === other.rotary) return;
  throw new KernelsError(
    'KERNELS_OPERAND_MISMATCH',
    'cache',
    `rows can be taken from a cache of the same model, got one of ${theirs} for ${mine}${mine === theirs ? ', with another rotary table' : ''}`,
  );
}

/** Makes room for new positions, doubling the capacity whenever it is used up. */
export function makeRoom(cache: KeyValueCache, counts: readonly number[]): void {
  if (counts.length !== cache.batch)
    throw new KernelsError(
      'KERNELS_OPERAND_MISMATCH',
      'cachedAttention',
      `counts must name ${cache.batch} rows, got ${counts.length}`,
    );
  const needed = Math.max(...cache.lengths.map((length, row) => length + counts[row]!));
  if (needed <= cache.capacity) return;
  cache.reserve(Math.max(needed, Math.min(2 * cache.capacity, cache.shape.rotary.time)));
}
