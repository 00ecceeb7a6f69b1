/**
 * A store of what the layers below the lowest that trains put out, sequence by sequence. These layers do not change while a task trains, so
 * that every later epoch, and every task that reads the same, finds it here.
 */
import { compressWeight, type CompactWeight, expandWeight } from '@contextlora/kernels';

import { ModelError } from '../model-error.js';

export interface ActivationCacheOptions {
  /** The most bytes that are kept. Once they are used up, what this phase reads stays, and what it adds is computed anew each time. */
  readonly maximumBytes?: number;
  /** `f16` holds twice as many sequences and rounds them; the trained numbers are then no longer those without a cache. */
  readonly format?: 'f32' | 'f16';
}

export interface ActivationCache {
  /**
   * The values of each key, in its order. `compute` gets the indices of those that are not stored, each key once, and returns their values;
   * it is not called if nothing is missing. Nobody may write into the values.
   */
  get(
    keys: readonly string[],
    compute: (missing: readonly number[]) => Promise<readonly Float32Array[]>,
  ): Promise<Float32Array[]>;
  /** Whether all keys are stored. */
  has(keys: readonly string[]): boolean;
  /** Begins a phase: values of earlier phases make room for new ones. */
  beginPhase(): void;
  /** Since it was opened: the sequences found and computed; and the bytes kept now. */
  usage(): { readonly found: number; readonly computed: number; readonly bytes: number };
}

interface Entry {
  readonly values: Float32Array | CompactWeight;
  readonly length: number;
  readonly bytes: number;
  /** The phase that used it last. */
  phase: number;
}

/**
 * Opens a cache for one model, or for several over one base.
 *
 * @throws ModelError (`MODEL_INPUT_INVALID`) when an option makes no sense.
 */
export function openActivationCache({
  maximumBytes = 2 ** 28,
  format = 'f32',
}: ActivationCacheOptions = {}): ActivationCache {
  if (!(maximumBytes >= 0) || !['f32', 'f16'].includes(format))
    throw new ModelError(
      'MODEL_INPUT_INVALID',
      'openActivationCache',
      `"maximumBytes" is ${maximumBytes} and "format" is ${JSON.stringify(format)}; they must be a number of at least 0 and "f32" or "f16"`,
    );
  /** The least recently used first. */
  const kept = new Map<string, Entry>();
  let phase = 0;
  let bytes = 0;
  let found = 0;
  let computed = 0;

  const keep = (key: string, values: Float32Array) => {
    const size = format === 'f16' ? 2 * values.length : values.byteLength;
    for (const [oldest, entry] of kept) {
      if (bytes + size <= maximumBytes || entry.phase === phase) break;
      kept.delete(oldest);
      bytes -= entry.bytes;
    }
    if (bytes + size > maximumBytes) return;
    kept.set(key, {
      values: format === 'f16' ? compressWeight(values, 1, values.length, 'f16') : values,
      length: values.length,
      bytes: size,
      phase,
    });
    bytes += size;
  };

  const look = (key: string): Float32Array | undefined => {
    const entry = kept.get(key);
    if (!entry) return undefined;
    kept.delete(key);
    kept.set(key, entry);
    entry.phase = phase;
    return entry.values instanceof Float32Array ? entry.values : expandWeight(entry.values, 1, entry.length);
  };

  return {
    async get(keys, compute) {
      const values = new Map<string, Float32Array>();
      const missing = new Map<string, number>();
      for (const [i, key] of keys.entries()) {
        if (values.has(key) || missing.has(key)) continue;
        const known = look(key);
        if (known) values.set(key, known);
        else missing.set(key, i);
      }
      found += values.size;
      computed += missing.size;
      if (missing.size > 0) {
        const made = await compute([...missing.values()]);
        for (const [i, key] of [...missing.keys()].entries()) {
          keep(key, made[i]!);
          // As later epochs will read it, also where it is rounded.
          values.set(key, look(key) ?? made[i]!);
        }
      }
      return keys.map((key) => values.get(key)!);
    },
    has: (keys) => keys.every((key) => kept.has(key)),
    beginPhase() {
      phase += 1;
    },
    usage: () => ({ found, computed, bytes }),
  };
}
