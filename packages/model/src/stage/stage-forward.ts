/** The forward pass of a stage, from what the stage below sends to what the one above needs. */
import { dispose, type Tensor2D, tensor2d } from '@contextlora/kernels/tfjs';

import type { LoadedLayers } from '../checkpoint/loaded-layers.js';
import { featuresOf, type ImageFeatures } from '../images/features.js';
import { ModelError } from '../model-error.js';
import { headLosses } from '../pass/head-losses.js';
import { type RangeInput, type RangePass, rangeForward } from '../pass/range-pass.js';
import type { SegmentsByLinear } from '../pass/segments.js';
import { batchOf } from '../pass/token-batch.js';
import type { ActivationCache } from '../training/activation-cache.js';
import { allOrNothing } from './all-or-nothing.js';
import { cachedInput, cacheKeys } from './cached-input.js';
import type { LossTerms } from './loss-terms.js';
import { filesOf, type MicrobatchHeader } from './microbatch.js';
import type { StageInput, StageOutput } from './stage-executor.js';

export interface StageForward {
  readonly output: StageOutput;
  readonly pass: RangePass;
  /** On the last stage the gradient of the top decoder layer's output, if a backward pass follows. */
  readonly dTop: Tensor2D | null;
}

/** Computes the output, and keeps what a backward pass down to layer `lowest` needs. */
export async function stageForward(
  layers: LoadedLayers,
  header: MicrobatchHeader,
  input: StageInput,
  {
    lowest,
    segments,
    ...stores
  }: { lowest: number; segments: SegmentsByLinear; cache: ActivationCache; features: ImageFeatures },
): Promise<StageForward> {
  const { spec, kernels, finalNorm, head, headWeight } = layers;
  const open = await openInput(layers, header, input, { lowest, segments, ...stores });
  const { pass, loss, dTop } = allOrNothing(() => {
    const made = rangeForward(layers, open(), { shape: header, segments, keepFrom: lowest });
    if (!finalNorm || !head || !headWeight) return { pass: made, loss: undefined, dTop: null };
    const losses = headLosses({ spec, kernels, finalNorm, head, headWeight }, made.y, {
      heads: header.losses.map(lossRequest),
      input: lowest !== Infinity,
    });
    return { pass: made, ...losses };
  });
  const output =
    loss === undefined ? { hidden: (await pass.y.data()) as Float32Array } : { loss: await loss };
  dispose(pass.y);
  return { output, pass, dTop };
}

const lossRequest = ({ rows, targets, weights, columns }: LossTerms) => ({
  rows: Int32Array.from(rows),
  targets: Int32Array.from(targets),
  weights: Float32Array.from(weights),
  ...(columns ? { columns } : {}),
});

/** Checks what is given, and returns a function that makes tensors of it or of what is in the cache. */
async function openInput(
  layers: LoadedLayers,
  header: MicrobatchHeader,
  input: StageInput,
  {
    lowest,
    segments,
    cache,
    features,
  }: { lowest: number; segments: SegmentsByLinear; cache: ActivationCache; features: ImageFeatures },
): Promise<() => RangeInput> {
  const { range, spec } = layers;
  const { batch, time } = header;
  const { tokens, hidden } = input;
  const shape: [number, number] = [batch * time, spec.text.hiddenSize];
  const keys = cacheKeys(layers, header, lowest);
  requireInput(layers, header, input, { isCached: keys !== undefined });
  if (keys) {
    const values = await cachedInput(layers, header, input, { keys, lowest, segments, cache, features });
    return () => ({ at: lowest, hidden: tensor2d(values, shape) });
  }
  if (!tokens) return () => ({ at: range.start, hidden: tensor2d(hidden!, shape) });
  const { images, sounds } = await featuresOf(filesOf(tokens), features);
  return () => ({ tokens: batchOf({ tokenizer: tokens }, tokens.rows, images, { sounds }) });
}

function requireInput(
  { range, spec }: LoadedLayers,
  { batch, time, lengths }: MicrobatchHeader,
  { tokens, hidden }: StageInput,
  { isCached }: { isCached: boolean },
): void {
  const fail = (what: string): never => {
    throw new ModelError('MODEL_INPUT_INVALID', 'forward', what);
  };
  const size = batch * time * spec.text.hiddenSize;
  if (range.start === 0) {
    if (!tokens || hidden) fail('the first stage reads tokens, and no hidden values');
    else if (tokens.rows.map(({ length }) => length).join() !== lengths.join())
      fail(
        `rows have ${tokens.rows.map(({ length }) => length).join(', ')} tokens, the header says ${lengths.join(', ')}`,
      );
  } else if (tokens) fail(`layers ${range.start} to ${range.end} read hidden values, and no tokens`);
  else if (!hidden && !isCached) fail(`layers ${range.start} to ${range.end} need hidden values`);
  else if (hidden && hidden.length !== size)
    fail(
      `there are ${hidden.length} hidden values for ${batch} rows of ${time} positions, which need ${size}`,
    );
}
