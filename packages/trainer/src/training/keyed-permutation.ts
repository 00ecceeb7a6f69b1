/** A shuffle without a list: the place of each number is computed when it is asked for. */
import type { KeyedRandom } from '@contextlora/lora';

/**
 * A permutation of 0 … count − 1, drawn from `random`; memory and time do not depend on `count`, which is at most 2³².
 *
 * A Feistel network over the next even number of bits, walked on until it is below `count` (Black & Rogaway 2002, cycle walking): at most
 * four walks on average.
 */
export function openPermutation(count: number, random: KeyedRandom): (index: number) => number {
  const halfBits = Math.max(1, Math.ceil(Math.log2(Math.max(2, count)) / 2));
  const half = 2 ** halfBits;
  const keys = Array.from({ length: rounds }, () => random.integer(2 ** 32));
  const once = (value: number) => {
    let [left, right] = [Math.floor(value / half), value % half];
    for (const key of keys) [left, right] = [right, (left + mix(right, key)) % half];
    return left * half + right;
  };
  return (index) => {
    let value = once(index);
    while (value >= count) value = once(value);
    return value;
  };
}

const rounds = 6;

/** The finalizer of MurmurHash3, on the value and a key. */
function mix(value: number, key: number): number {
  let bits = (value ^ key) >>> 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
