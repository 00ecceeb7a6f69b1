/** One pass of a batch through the model: embedding, layers, head and loss, and backward down to the lowest layer that trains. */
import type { LossValue, SegmentGradient } from '@contextlora/kernels';
import { dispose, type Tensor2D, tidy } from '@contextlora/kernels/tfjs';

import type { LoadedModel } from '../checkpoint/load-model.js';
import {
  decoderLayer,
  decoderLayerBackward,
  type LayerContext,
  layerLinears,
  type LayerSaved,
} from './decoder-layer.js';
import { connectorName, embed, type Embedded } from './embed.js';
import { type HeadRequest, openHead } from './head.js';
import { headLosses, type LossRequest } from './head-losses.js';
import { contextOf, type ModelLayer, modelLayers } from './model-layers.js';
import type { SegmentsByLinear } from './segments.js';
import type { TokenBatch } from './token-batch.js';

/** By the full name of a linear, the gradient of each of its active segments; null for those that do not train. */
export type GradientsByLinear = Map<string, readonly (SegmentGradient | null)[]>;

const none: SegmentsByLinear = new Map();

/** The logits `[rows, columns]` of a batch; nothing is kept for a backward pass. */
export function languageLogits(
  model: LoadedModel,
  tokens: TokenBatch,
  { head, segments = none }: { head: HeadRequest; segments?: SegmentsByLinear },
): Tensor2D {
  const { kernels } = model;
  const layers = modelLayers(model, segments);
  const hidden = forward(model, tokens, { segments, layers, keepFrom: Infinity });
  const opened = openHead(model, hidden.top, head);
  const { y, saved } = kernels.linear(opened.normed, opened.weight);
  saved.dispose();
  opened.dispose();
  hidden.dispose();
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

/** The output of the layer below `layer`, `[batch · time, hidden]`; nothing is kept for a backward pass. */
export function outputBelow(
  model: LoadedModel,
  tokens: TokenBatch,
  { layer, segments }: { layer: number; segments: SegmentsByLinear },
): Tensor2D {
  return tidy(() => {
    const layers = modelLayers(model, segments).slice(0, layer);
    return forward(model, tokens, { segments, layers, keepFrom: Infinity }).top;
  });
}

/**
 * The weighted cross-entropy, or the sum of several over one pass, and the gradients of every segment that trains.
 *
 * Layers below the lowest one that trains keep nothing and have no backward pass. With `input`, which is then the input of that one, they
 * are not computed, nor is the embedding.
 */
export function languageLoss(
  model: LoadedModel,
  tokens: TokenBatch,
  {
    head,
    segments,
    input,
  }: {
    head: LossRequest | readonly LossRequest[];
    segments: SegmentsByLinear;
    input?: Tensor2D;
  },
): { loss: LossValue; gradients: GradientsByLinear } {
  const { kernels } = model;
  const layers = modelLayers(model, segments);
  const connectorSegments = segments.get(connectorName(model)) ?? [];
  const connectorTrains =
    connectorSegments.some(({ train }) => train) && tokens.images.some((image) => image !== undefined);
  const lowestThatTrains = layers.findIndex(({ trains }) => trains);
  const lowest = connectorTrains ? 0 : lowestThatTrains >= 0 ? lowestThatTrains : Infinity;
  const gradients: GradientsByLinear = new Map();

  const hidden = forward(model, tokens, {
    segments,
    layers,
    keepFrom: lowest,
    ...(input ? { start: { layer: lowest, input } } : {}),
  });
  const heads = 'rows' in head ? [head] : head;
  const { loss, dTop } = headLosses(model, hidden.top, { heads, input: lowest !== Infinity });
  let dy = dTop;
  for (const [layerIndex, layer] of [...layers.entries()].slice(lowest).reverse()) {
    const saved = hidden.saved[layerIndex];
    if (!dy || !saved) break;
    const result = decoderLayerBackward(dy, saved, layer.weights, {
      segments: layer.segments,
      context: hidden.context,
      input: layerIndex > lowest || connectorTrains,
    });
    for (const name of layerLinears) {
      const linearGradients = result.gradients[name];
      if (linearGradients) gradients.set(layer.nameOf(name), linearGradients);
    }
    dispose(dy);
    dy = result.dx;
  }
  if (dy && connectorTrains && hidden.embedded.connector && model.connector) {
    const { rows, saved } = hidden.embedded.connector;
    const dImage = kernels.gatherRows(dy, rows);
    const result = kernels.linearBackward(dImage, saved, model.connector, connectorSegments, {
      input: false,
    });
    gradients.set(connectorName(model), result.segments);
    dispose(dImage);
  }
  if (dy) dispose(dy);
  hidden.dispose();
  return { loss, gradients };
}

interface ForwardPass {
  readonly top: Tensor2D;
  readonly saved: readonly (LayerSaved | null)[];
  readonly embedded: Embedded;
  readonly context: LayerContext;
  dispose(): void;
}

/** Runs all layers, or those from `start` up, and keeps what backward needs from layer `keepFrom` up. */
function forward(
  model: LoadedModel,
  tokens: TokenBatch,
  {
    segments,
    layers,
    keepFrom,
    start,
  }: {
    segments: SegmentsByLinear;
    layers: readonly ModelLayer[];
    keepFrom: number;
    start?: { layer: number; input: Tensor2D };
  },
): ForwardPass {
  const context = contextOf(model, tokens);
  const embedded: Embedded = start
    ? { x: start.input, dispose: () => undefined }
    : embed(model, tokens, segments);
  const kept: Tensor2D[] = [];
  const saved: (LayerSaved | null)[] = [];
  let x = embedded.x;
  for (const [layerIndex, layer] of layers.entries()) {
    if (start && layerIndex < start.layer) {
      saved.push(null);
      continue;
    }
    const keep = layerIndex >= keepFrom;
    const result = decoderLayer(x, layer.weights, { segments: layer.segments, context, keep });
    if (x !== embedded.x) {
      // A layer's saved values refer to its input.
      if (keep) kept.push(x);
      else dispose(x);
    }
    saved.push(result.saved);
    x = result.y;
  }
  return {
    top: x,
    saved,
    embedded,
    context,
    dispose() {
      for (const layer of saved) layer?.dispose();
      embedded.dispose();
      dispose([...kept, x]);
    },
  };
}
