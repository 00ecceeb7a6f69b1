/**
 * One pass of a batch through the model: embed, layers, head, loss, and backward as far down as anything trains.
 */
import type { LoraSegment, SegmentGradient } from '@contextlora/kernels';
import { dispose, tensor2d, type Tensor2D } from '@tensorflow/tfjs-core';

import {
  decoderLayer,
  decoderLayerBackward,
  type LayerContext,
  type LayerLinear,
  layerLinears,
  type LayerSaved,
  type LayerSegments,
} from './decoder-layer.js';
import type { LoadedModel } from './load-model.js';
import { connectorName } from './model-spec.js';

/** A batch of equal-length rows of token ids. */
export interface TokenBatch {
  readonly batch: number;
  readonly time: number;
  /** `[batch · time]`; where an image stands, its image tokens. */
  readonly ids: Int32Array;
  /** Per batch row the image's features `[image tokens, wide]`, where the row has an image. */
  readonly images: readonly (Float32Array | undefined)[];
  /** Left padding per row. */
  readonly firstKeys?: readonly number[];
}

/** Which logits are wanted: of these rows, over these columns of the vocabulary (all when absent). */
export interface HeadRequest {
  /** Indices into `[batch · time]`. */
  readonly rows: Int32Array;
  readonly columns?: readonly number[];
}

export type SegmentsByLayer = ReadonlyMap<string, readonly LoraSegment[]>;
export type GradientsByLayer = Map<string, readonly (SegmentGradient | null)[]>;

const none: SegmentsByLayer = new Map();

/** The logits `[rows, columns]` of a batch, without keeping anything for a backward. */
export function languageLogits(
  model: LoadedModel,
  tokens: TokenBatch,
  { head, segments = none }: { head: HeadRequest; segments?: SegmentsByLayer },
): Tensor2D {
  const hidden = forward(model, tokens, segments, Infinity);
  const applied = applyHead(model, hidden.top, head);
  const logits = applied.logits.clone();
  applied.dispose();
  hidden.dispose();
  return logits;
}

/** All hidden states: the embedding, each layer's output, and the last after the final norm; for tests and probes. */
export function hiddenStates(
  model: LoadedModel,
  tokens: TokenBatch,
  segments: SegmentsByLayer = none,
): Tensor2D[] {
  const { kernels, spec, finalNorm } = model;
  const states = [embed(model, tokens, segments).x];
  for (let depth = 0; depth < spec.text.layerCount; depth++) {
    const { y } = decoderLayer(states.at(-1)!, layerWeights(model, depth), {
      segments: segmentsOfLayer(model, depth, segments),
      context: contextOf(model, tokens),
      keep: false,
    });
    states.push(y);
  }
  const last = states.pop()!;
  const { y, saved } = kernels.rmsNorm(last, finalNorm, spec.text.rmsEpsilon);
  saved.dispose();
  dispose(last);
  return [...states, y];
}

export interface LossRequest extends HeadRequest {
  /** Per requested row, the index of the right column. */
  readonly targets: Int32Array;
  /** Per requested row; usually 1 / number of rows. */
  readonly weights: Float32Array;
}

/**
 * The weighted cross-entropy and the gradients of every segment that trains.
 *
 * Nothing is kept of layers below the lowest that trains, and no backward runs there.
 */
export function languageLoss(
  model: LoadedModel,
  tokens: TokenBatch,
  { head, segments }: { head: LossRequest; segments: SegmentsByLayer },
): { loss: number; gradients: GradientsByLayer } {
  const { kernels, spec } = model;
  const depths = Array.from({ length: spec.text.layerCount }, (_, depth) => depth);
  const trains = (name: string) => segments.get(name)?.some(({ train }) => train) ?? false;
  const connectorTrains = trains(connectorName) && tokens.images.some((image) => image !== undefined);
  const lowest = connectorTrains
    ? 0
    : (depths.find((depth) => layerLinears.some((name) => trains(linearName(model, depth, name)))) ??
      Infinity);
  const gradients: GradientsByLayer = new Map();

  const hidden = forward(model, tokens, segments, lowest);
  const applied = applyHead(model, hidden.top, head);
  const { loss, dLogits } = kernels.crossEntropy(applied.logits, head.targets, head.weights);
  let dy: Tensor2D | null = lowest === Infinity ? null : applied.backward(dLogits);
  applied.dispose();
  dispose(dLogits);
  for (const depth of depths.slice(lowest === Infinity ? depths.length : lowest).reverse()) {
    const saved = hidden.saved[depth];
    if (!dy || !saved) break;
    const result = decoderLayerBackward(dy, saved, layerWeights(model, depth), {
      segments: segmentsOfLayer(model, depth, segments),
      context: hidden.context,
      input: depth > lowest || connectorTrains,
    });
    for (const [name, of] of Object.entries(result.gradients))
      gradients.set(linearName(model, depth, name as LayerLinear), of);
    dispose(dy);
    dy = result.dx;
  }
  if (dy && connectorTrains && hidden.embedded.connector && model.connector) {
    const { rows, saved } = hidden.embedded.connector;
    const dImage = kernels.gatherRows(dy, rows);
    const result = kernels.linearBackward(dImage, saved, model.connector, segments.get(connectorName) ?? [], {
      input: false,
    });
    gradients.set(connectorName, result.segments);
    dispose(dImage);
  }
  if (dy) dispose(dy);
  hidden.dispose();
  return { loss, gradients };
}

interface Embedded {
  readonly x: Tensor2D;
  readonly connector?: {
    /** Rows of x that image tokens fill. */
    readonly rows: Int32Array;
    readonly saved: ReturnType<LoadedModel['kernels']['linear']>['saved'];
  };
  dispose(): void;
}

/** Token embeddings, with the connector's output where image tokens stand. */
function embed(model: LoadedModel, { ids, images, time }: TokenBatch, segments: SegmentsByLayer): Embedded {
  const { embedding, spec, kernels } = model;
  const { hiddenSize, vocabularySize } = spec.text;
  const values = new Float32Array(ids.length * hiddenSize);
  for (const [row, id] of ids.entries()) {
    if (id < 0 || id >= vocabularySize)
      throw new Error(`internal: token ${id} is outside the vocabulary of ${vocabularySize}`);
    values.set(embedding.subarray(id * hiddenSize, (id + 1) * hiddenSize), row * hiddenSize);
  }
  const imageToken = spec.vision?.imageTokenId;
  const rows = Int32Array.from(
    [...ids.keys()].filter((row) => ids[row] === imageToken && images[Math.floor(row / time)]),
  );
  if (rows.length === 0 || !model.connector) {
    const x = tensor2d(values, [ids.length, hiddenSize]);
    return {
      x,
      dispose: () => {
        dispose(x);
      },
    };
  }
  const features = images.filter((image) => image !== undefined);
  const wide = model.connector.inFeatures;
  const all = new Float32Array(rows.length * wide);
  let at = 0;
  for (const image of features) {
    all.set(image, at);
    at += image.length;
  }
  if (at !== all.length)
    throw new Error(`internal: ${rows.length} image tokens, but features for ${at / wide}`);
  const input = tensor2d(all, [rows.length, wide]);
  const { y, saved } = kernels.linear(input, model.connector, segments.get(connectorName) ?? []);
  const projected = y.dataSync();
  for (const [i, row] of rows.entries())
    values.set(projected.subarray(i * hiddenSize, (i + 1) * hiddenSize), row * hiddenSize);
  dispose(y);
  const x = tensor2d(values, [ids.length, hiddenSize]);
  return {
    x,
    connector: { rows, saved },
    dispose() {
      saved.dispose();
      dispose([x, input]);
    },
  };
}

interface ForwardPass {
  readonly top: Tensor2D;
  readonly saved: readonly (LayerSaved | null)[];
  readonly embedded: Embedded;
  readonly context: LayerContext;
  dispose(): void;
}

/** Runs all layers, keeping what backward needs from layer `keepFrom` up. */
function forward(
  model: LoadedModel,
  tokens: TokenBatch,
  segments: SegmentsByLayer,
  keepFrom: number,
): ForwardPass {
  const context = contextOf(model, tokens);
  const embedded = embed(model, tokens, segments);
  const kept: Tensor2D[] = [];
  const saved: (LayerSaved | null)[] = [];
  let x = embedded.x;
  for (let depth = 0; depth < model.layers.length; depth++) {
    const keep = depth >= keepFrom;
    const result = decoderLayer(x, layerWeights(model, depth), {
      segments: segmentsOfLayer(model, depth, segments),
      context,
      keep,
    });
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

interface Head {
  /** `[rows, columns]` */
  readonly logits: Tensor2D;
  /** dLogits → the gradient of the top layer's output. */
  backward(dLogits: Tensor2D): Tensor2D;
  dispose(): void;
}

/** Final norm and output matrix at the requested rows, over the requested columns only. */
function applyHead(
  { kernels, finalNorm, spec, head, headWeight }: LoadedModel,
  top: Tensor2D,
  { rows, columns }: HeadRequest,
): Head {
  const { hiddenSize, rmsEpsilon } = spec.text;
  const weight = columns
    ? kernels.prepareLinear(
        Float32Array.from(
          columns.flatMap((id) => [...head.subarray(id * hiddenSize, (id + 1) * hiddenSize)]),
        ),
        columns.length,
        hiddenSize,
      )
    : headWeight;
  const picked = kernels.gatherRows(top, rows);
  const norm = kernels.rmsNorm(picked, finalNorm, rmsEpsilon);
  const linear = kernels.linear(norm.y, weight);
  return {
    logits: linear.y,
    backward(dLogits) {
      const { dx } = kernels.linearBackward(dLogits, linear.saved, weight, [], { input: true });
      const dNormed = dx!;
      const dPicked = kernels.rmsNormBackward(dNormed, norm.saved, finalNorm);
      const dTop = kernels.gatherRowsBackward(dPicked, rows, top.shape[0]);
      dispose([dNormed, dPicked]);
      return dTop;
    },
    dispose() {
      linear.saved.dispose();
      norm.saved.dispose();
      dispose([linear.y, norm.y, picked]);
      if (columns) weight.dispose();
    },
  };
}

function layerWeights({ layers }: LoadedModel, depth: number) {
  const weights = layers[depth];
  if (!weights) throw new Error(`internal: there is no layer ${depth}`);
  return weights;
}

const linearName = ({ spec }: LoadedModel, depth: number, name: LayerLinear) =>
  `${spec.text.prefix}layers.${depth}.${name}`;

function segmentsOfLayer(model: LoadedModel, depth: number, segments: SegmentsByLayer): LayerSegments {
  return Object.fromEntries(
    layerLinears.map((name) => [name, segments.get(linearName(model, depth, name)) ?? []]),
  );
}

function contextOf(
  { kernels, spec, rotary }: LoadedModel,
  { batch, time, firstKeys }: TokenBatch,
): LayerContext {
  const { heads, kvHeads, headDim, rmsEpsilon, maximumPositions } = spec.text;
  if (time > maximumPositions)
    throw new Error(
      `model/languagePass: ${time} tokens are more than the ${maximumPositions} positions of the model; shorten the prompt`,
    );
  return {
    kernels,
    batch,
    time,
    heads,
    kvHeads,
    headDim,
    rmsEpsilon,
    rotary,
    ...(firstKeys ? { firstKeys } : {}),
  };
}
