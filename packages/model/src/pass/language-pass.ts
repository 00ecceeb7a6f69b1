/** One pass of a batch through the model: embedding, layers, head and loss, and backward down to the lowest layer that trains. */
import type { LossValue } from '@contextlora/kernels';
import { dispose, type Tensor2D } from '@contextlora/kernels/tfjs';

import type { LoadedModel } from '../checkpoint/load-model.js';
import { decoderLayer } from './decoder-layer.js';
import { connectorName, embed } from './embed.js';
import { type HeadRequest, openHead } from './head.js';
import { headLosses, type LossRequest } from './head-losses.js';
import { contextOf, modelLayers } from './model-layers.js';
import { type GradientsByLinear, rangeBackward, rangeForward } from './range-pass.js';
import type { SegmentsByLinear } from './segments.js';
import type { TokenBatch } from './token-batch.js';

const none: SegmentsByLinear = new Map();

/** The logits `[rows, columns]` of a batch; nothing is kept for a backward pass. */
export function languageLogits(
  model: LoadedModel,
  tokens: TokenBatch,
  { head, segments = none }: { head: HeadRequest; segments?: SegmentsByLinear },
): Tensor2D {
  const { kernels } = model;
  const pass = rangeForward(model, { tokens }, { shape: tokens, segments, keepFrom: Infinity });
  const opened = openHead(model, pass.y, head);
  const { y, saved } = kernels.linear(opened.normed, opened.weight);
  saved.dispose();
  opened.dispose();
  dispose(pass.y);
  return y;
}

/** All hidden states: the embedding, each layer's output, and the last one after the final norm; for tests and probes. */
export function hiddenStates(
  model: LoadedModel,
  tokens: TokenBatch,
  segments: SegmentsByLinear = none,
): Tensor2D[] {
  const { kernels, spec, finalNorm } = model;
  const context = contextOf(model, tokens);
  const states: Tensor2D[] = [];
  let { x } = embed(model, tokens, segments);
  for (const { weights, segments: active } of modelLayers(model, segments)) {
    states.push(x);
    x = decoderLayer(x, weights, { segments: active, context, keep: false }).y;
  }
  const { y, saved } = kernels.rmsNorm(x, finalNorm, spec.text.rmsEpsilon);
  saved.dispose();
  dispose(x);
  return [...states, y];
}

/**
 * The weighted cross-entropy, or the sum of several over one pass, and the gradients of every segment that trains.
 *
 * Layers below the lowest one that trains keep nothing and have no backward pass.
 */
export function languageLoss(
  model: LoadedModel,
  tokens: TokenBatch,
  { head, segments }: { head: LossRequest | readonly LossRequest[]; segments: SegmentsByLinear },
): { loss: LossValue; gradients: GradientsByLinear } {
  const connectorTrains =
    segments.get(connectorName(model))?.some(({ train }) => train) === true &&
    tokens.images.some((image) => image !== undefined);
  const lowest = connectorTrains
    ? 0
    : (modelLayers(model, segments).find(({ trains }) => trains)?.index ?? Infinity);
  const pass = rangeForward(model, { tokens }, { shape: tokens, segments, keepFrom: lowest });
  const heads = 'rows' in head ? [head] : head;
  const { loss, dTop } = headLosses(model, pass.y, { heads, input: lowest !== Infinity });
  dispose(pass.y);
  const gradients: GradientsByLinear = dTop
    ? rangeBackward(model, pass, dTop, { segments, lowest, later: false }).gradients
    : new Map<string, never>();
  pass.dispose();
  return { loss, gradients };
}
