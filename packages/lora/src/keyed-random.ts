/**
 * Random numbers keyed by purpose: every stream is a function of (seed, purpose) alone, never a share of one global stream, so that
 * adding a task, a layer or a draw changes no number of any other stream.
 */
import { sha256 } from '@noble/hashes/sha2';

export interface KeyedRandom {
  /** Uniform in [0, 1). */
  next(): number;
  /** Standard normal (Box & Muller 1958). */
  normal(): number;
  /** Uniform integer in [0, bound). */
  integer(bound: number): number;
  /** Uniform in [low, high). */
  between(low: number, high: number): number;
  /** One of the items, of which there is at least one. */
  pick<T>(items: readonly T[]): T;
  /** A shuffled copy (Fisher–Yates). */
  shuffle<T>(items: readonly T[]): T[];
}

/** Opens the stream of `(seed, ...purpose)`: SHA-256 seeds xoshiro128** (Blackman & Vigna 2018). */
export function keyedRandom(seed: number | string, ...purpose: readonly (string | number)[]): KeyedRandom {
  // JSON keeps ("a", "bc") and ("ab", "c") apart.
  const digest = sha256(new TextEncoder().encode(JSON.stringify([seed, ...purpose])));
  const words = new DataView(digest.buffer, digest.byteOffset);
  let [a, b, c, d] = [0, 4, 8, 12].map((offset) => words.getUint32(offset, true)) as [
    number,
    number,
    number,
    number,
  ];
  const bits = () => {
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9);
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = rotate(d, 11);
    return result >>> 0;
  };
  const next = () => ((bits() >>> 5) * 67108864 + (bits() >>> 6)) / 9007199254740992;
  const integer = (bound: number) => Math.floor(next() * bound);
  return {
    next,
    integer,
    between: (low, high) => low + (high - low) * next(),
    pick: <T>(items: readonly T[]) => items[integer(items.length)] as T,
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
    shuffle: (items) => {
      const copy = [...items];
      for (let i = copy.length - 1; i > 0; i--) {
        const j = integer(i + 1);
        [copy[i], copy[j]] = [copy[j] as (typeof copy)[number], copy[i] as (typeof copy)[number]];
      }
      return copy;
    },
  };
}

const rotate = (value: number, by: number) => (value << by) | (value >>> (32 - by));
