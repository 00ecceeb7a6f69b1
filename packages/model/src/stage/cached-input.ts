/** The input of the lowest layer that trains, from the cache of the stage that holds it. */
import { dispose, tensor2d } from '@contextlora/kernels/tfjs';

import { type LoadedLayers, layersOf } from '../checkpoint/loaded-layers.js';
import { featuresOf, type ImageFeatures } from '../images/features.js';
import { ModelError } from '../model-error.js';
import { rangeForward } from '../pass/range-pass.js';
import type { SegmentsByLinear } from '../pass/segments.js';
import { batchOf } from '../pass/token-batch.js';
import { includes } from '../spec/layer-range.js';
import type { ActivationCache } from '../training/activation-cache.js';
import { allOrNothing } from './all-or-nothing.js';
import { filesOf, type MicrobatchHeader, type MicrobatchTokens } from './microbatch.js';

/**
 * Products of fewer rows than this may be rounded otherwise than those of more; a sequence gets the same numbers in every batch of at least
 * so many rows.
 */
const fewestRows = 8;

/**
 * The names under which the cache knows the input of layer `lowest` for each row. Undefined where nothing is to be cached: in a batch that
 * is too small, where the layer is in another stage, and where there is nothing below but an embedding of the stage's own.
 */
export function cacheKeys(
  { range }: LoadedLayers,
  { batch, time, lowerKey, sequences }: MicrobatchHeader,
  lowest: number,
): string[] | undefined {
  const isHere = includes(range, lowest) && lowest > (range.start === 0 ? 1 : 0);
  if (lowerKey === undefined || !isHere || batch * time < fewestRows) return undefined;
  return sequences.map((sequence) => `${lowerKey} ${sequence}`);
}

/** What the layers below are computed from: tokens, hidden values, or nothing where all is in the cache. */
interface Below {
  readonly tokens?: MicrobatchTokens;
  readonly hidden?: Float32Array;
}

/**
 * The input of layer `lowest`, `[batch · time, hidden]`, zero in the padding; its numbers are those of a pass without a cache.
 *
 * @throws ModelError (`MODEL_INPUT_INVALID`) when a row is neither in the cache nor given.
 */
export async function cachedInput(
  layers: LoadedLayers,
  header: MicrobatchHeader,
  { tokens, hidden }: Below,
  {
    keys,
    lowest,
    segments,
    cache,
    features,
  }: {
    keys: readonly string[];
    lowest: number;
    segments: SegmentsByLinear;
    cache: ActivationCache;
    features: ImageFeatures;
  },
): Promise<Float32Array> {
  const { batch, time, lengths } = header;
  const { hiddenSize } = layers.spec.text;
  const { start } = layers.range;
  const rowsOf = (
    values: Float32Array,
    width: number,
    rows: readonly (readonly [at: number, length: number])[],
  ) => rows.map(([at, length]) => values.slice(at * width * hiddenSize, (at * width + length) * hiddenSize));

  const found = await cache.get(keys, async (missing) => {
    const lengthsOf = missing.map((row) => lengths[row]!);
    if (tokens) {
      const files = filesOf(tokens);
      const { images, sounds } = await featuresOf(
        missing.map((row) => files[row] ?? {}),
        features,
      );
      const part = batchOf(
        { tokenizer: tokens },
        missing.map((row) => tokens.rows[row]!),
        images,
        { minimumTime: Math.ceil(fewestRows / missing.length), sounds },
      );
      const values = await outputOf(layersOf(layers, { start, end: lowest }), () => ({ tokens: part }), part);
      return rowsOf(values, part.time, [...lengthsOf.entries()]);
    }
    if (!hidden)
      throw new ModelError(
        'MODEL_INPUT_INVALID',
        'forward',
        `${missing.length} of ${batch} rows are not in the activation cache of layers ${start} to ${layers.range.end}; give their hidden values`,
      );
    const values =
      lowest === start
        ? hidden
        : await outputOf(
            layersOf(layers, { start, end: lowest }),
            () => ({ at: start, hidden: tensor2d(hidden, [batch * time, hiddenSize]) }),
            header,
          );
    return rowsOf(
      values,
      time,
      missing.map((row, i) => [row, lengthsOf[i]!]),
    );
  });
  const all = new Float32Array(batch * time * hiddenSize);
  for (const [row, values] of found.entries()) all.set(values, row * time * hiddenSize);
  return all;

  async function outputOf(
    lower: LoadedLayers,
    input: () => Parameters<typeof rangeForward>[1],
    { batch: rows, time: positions }: { batch: number; time: number },
  ): Promise<Float32Array> {
    const { y } = allOrNothing(() =>
      rangeForward(lower, input(), { shape: { batch: rows, time: positions }, segments, keepFrom: Infinity }),
    );
    const values = (await y.data()) as Float32Array;
    dispose(y);
    return values;
  }
}
