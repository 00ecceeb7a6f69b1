/** One pass of a batch through the model: embedding, layers, head and loss, and backward down to the lowest layer that trains. */
import type { LossValue, SegmentGradient } from '@contextlora/kernels';
import { dispose, type Tensor2D } from '@contextlora/kernels/tfjs';

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

export interface LossRequest extends HeadRequest {
  /** For each requested row, the index of the right column. */
  readonly targets: Int32Array;
  /** For each requested row; usually 1 / number of rows. */
  readonly weights: Float32Array;
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
  const { kernels } = model;
  const layers = modelLayers(model, segments);
  const connectorSegments = segments.get(connectorName(model)) ?? [];
  const connectorTrains =
    connectorSegments.some(({ train }) => train) && tokens.images.some((image) => image !== undefined);
  const lowestThatTrains = layers.findIndex(({ trains }) => trains);
  const lowest = connectorTrains ? 0 : lowestThatTrains >= 0 ? lowestThatTrains : Infinity;
  const gradients: GradientsByLinear = new Map();

  const hidden = forward(model, tokens, { segments, layers, keepFrom: lowest });
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

/** Runs all layers and keeps what backward needs from layer `keepFrom` up. */
function forward(
  model: LoadedModel,
  tokens: TokenBatch,
  {
    segments,
    layers,
    keepFrom,
  }: { segments: SegmentsByLinear; layers: readonly ModelLayer[]; keepFrom: number },
): ForwardPass {
  const context = contextOf(model, tokens);
  const embedded = embed(model, tokens, segments);
  const kept: Tensor2D[] = [];
  const saved: (LayerSaved | null)[] = [];
  let x = embedded.x;
  for (const [layerIndex, layer] of layers.entries()) {
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

/** The summed losses and, with `input`, the gradient of the top layer's output. */
function headLosses(
  model: LoadedModel,
  top: Tensor2D,
  { heads, input }: { heads: readonly LossRequest[]; input: boolean },
): { loss: LossValue; dTop: Tensor2D | null } {
  const losses: LossValue[] = [];
  let dTop: Tensor2D | null = null;
  for (const head of heads) {
    const next = headLoss(model, top, { head, input });
    losses.push(next.loss);
    const before: Tensor2D | null = dTop;
    dTop = before && next.dTop ? model.kernels.add(before, next.dTop) : next.dTop;
    if (before && next.dTop) dispose([before, next.dTop]);
  }
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const known = losses.filter((loss) => typeof loss === 'number');
  return { loss: known.length === losses.length ? sum(known) : Promise.all(losses).then(sum), dTop };
}

/** The loss over the requested rows and, with `input`, the gradient of the top layer's output. */
function headLoss(
  model: LoadedModel,
  top: Tensor2D,
  { head, input }: { head: LossRequest; input: boolean },
): { loss: LossValue; dTop: Tensor2D | null } {
  const opened = openHead(model, top, head);
  const { loss, dx } = model.kernels.linearCrossEntropy(
    opened.normed,
    opened.weight,
    head.targets,
    head.weights,
    { input },
  );
  const dTop = dx && opened.backward(dx);
  opened.dispose();
  if (dx) dispose(dx);
  return { loss, dTop };
}
