/**
 * One pass of a batch through the model: embed, layers, head, loss, and backward as far down as anything trains.
 */
import type { LinearWeight, LoraSegment, LossValue, SegmentGradient } from '@contextlora/kernels';
import { concat2d, dispose, tensor2d, type Tensor2D } from '@tensorflow/tfjs-core';

import {
  decoderLayer,
  decoderLayerBackward,
  type LayerContext,
  type LayerLinear,
  layerLinears,
  type LayerSaved,
  type LayerSegments,
} from './decoder-layer.js';
import type { LoadedModel } from '../checkpoint/load-model.js';
import { matrixRows } from './matrix-rows.js';

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
  const { kernels } = model;
  const opened = openHead(model, hidden.top, head);
  const { y, saved } = kernels.linear(opened.normed, opened.weight);
  saved.dispose();
  opened.dispose();
  hidden.dispose();
  return y;
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
): { loss: LossValue; gradients: GradientsByLayer } {
  const { kernels, spec } = model;
  const depths = Array.from({ length: spec.text.layerCount }, (_, depth) => depth);
  const trains = (name: string) => segments.get(name)?.some(({ train }) => train) ?? false;
  const connectorName = connectorOf(model);
  const connectorTrains = trains(connectorName) && tokens.images.some((image) => image !== undefined);
  const lowest = connectorTrains
    ? 0
    : (depths.find((depth) => layerLinears.some((name) => trains(linearName(model, depth, name)))) ??
      Infinity);
  const gradients: GradientsByLayer = new Map();

  const hidden = forward(model, tokens, segments, lowest);
  const { loss, dTop } = headLoss(model, hidden.top, { head, input: lowest !== Infinity });
  let dy = dTop;
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
export function embed(
  model: LoadedModel,
  { ids, images, time }: TokenBatch,
  segments: SegmentsByLayer,
): Embedded {
  const { embedding, spec, kernels } = model;
  const { hiddenSize, vocabularySize } = spec.text;
  const imageToken = spec.vision?.imageTokenId;
  const rows = Int32Array.from(
    [...ids.keys()].filter((row) => ids[row] === imageToken && images[Math.floor(row / time)]),
  );
  const features = images.filter((image) => image !== undefined);
  const wide = model.connector?.inFeatures ?? 0;
  if (model.connector) requireFeatures(images, rows, { time, wide });
  const words =
    embedding instanceof Float32Array
      ? kernels.embedding(embedding, ids, hiddenSize)
      : tensor2d(matrixRows(embedding, ids, [vocabularySize, hiddenSize]), [ids.length, hiddenSize]);
  if (features.length === 0 || !model.connector) {
    return {
      x: words,
      dispose: () => {
        dispose(words);
      },
    };
  }
  const all = new Float32Array(rows.length * wide);
  let at = 0;
  for (const image of features) {
    all.set(image, at);
    at += image.length;
  }
  const input = tensor2d(all, [rows.length, wide]);
  const { y, saved } = kernels.linear(input, model.connector, segments.get(connectorOf(model)) ?? []);
  const both = concat2d([words, y], 0);
  const source = Int32Array.from(ids.keys());
  for (const [i, row] of rows.entries()) source[row] = ids.length + i;
  const x = kernels.gatherRows(both, source);
  dispose([y, words, both]);
  return {
    x,
    connector: { rows, saved },
    dispose() {
      saved.dispose();
      dispose([x, input]);
    },
  };
}

/** An image's features go where its row has image tokens, one by one; a text that holds the token's spelling has more. */
function requireFeatures(
  images: TokenBatch['images'],
  rows: Int32Array,
  { time, wide }: { time: number; wide: number },
): void {
  for (const [i, image] of images.entries()) {
    if (!image) continue;
    const count = rows.filter((row) => Math.floor(row / time) === i).length;
    if (count * wide !== image.length)
      throw new Error(
        `model/languagePass: row ${i} has ${count} image tokens, and its images have features for ${image.length / wide}; does its text hold an image token?`,
      );
  }
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
  /** The final norm of the requested rows. */
  readonly normed: Tensor2D;
  /** The output matrix over the requested columns only. */
  readonly weight: LinearWeight;
  /** The gradient of `normed` → that of the top layer's output. */
  backward(dNormed: Tensor2D): Tensor2D;
  dispose(): void;
}

/** The final norm and the output matrix for the rows and columns asked for. */
export function openHead(
  { kernels, finalNorm, spec, head, headWeight }: LoadedModel,
  top: Tensor2D,
  { rows, columns }: HeadRequest,
): Head {
  const { hiddenSize, rmsEpsilon, vocabularySize } = spec.text;
  const weight = columns
    ? kernels.prepareLinear(
        matrixRows(head, columns, [vocabularySize, hiddenSize]),
        columns.length,
        hiddenSize,
      )
    : headWeight;
  const picked = kernels.gatherRows(top, rows);
  const norm = kernels.rmsNorm(picked, finalNorm, rmsEpsilon);
  return {
    normed: norm.y,
    weight,
    backward(dNormed) {
      const dPicked = kernels.rmsNormBackward(dNormed, norm.saved, finalNorm);
      const dTop = kernels.gatherRowsBackward(dPicked, rows, top.shape[0]);
      dispose(dPicked);
      return dTop;
    },
    dispose() {
      norm.saved.dispose();
      dispose([norm.y, picked]);
      if (columns) weight.dispose();
    },
  };
}

/** The loss over the requested rows, and the gradient of the top layer's output if owed. */
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

export function layerWeights({ layers }: LoadedModel, depth: number) {
  const weights = layers[depth];
  if (!weights) throw new Error(`internal: there is no layer ${depth}`);
  return weights;
}

/** The connector's name, or one that nothing has. */
const connectorOf = ({ spec }: LoadedModel) => spec.vision?.connector.name ?? '';

const linearName = ({ spec }: LoadedModel, depth: number, name: LayerLinear) =>
  `${spec.text.prefix}layers.${depth}.${name}`;

export function segmentsOfLayer(model: LoadedModel, depth: number, segments: SegmentsByLayer): LayerSegments {
  return Object.fromEntries(
    layerLinears.map((name) => [name, segments.get(linearName(model, depth, name)) ?? []]),
  );
}

export function contextOf(
  { kernels, spec, rotary }: LoadedModel,
  { batch, time, firstKeys }: TokenBatch,
): LayerContext {
  const { heads, kvHeads, headDim, rmsEpsilon } = spec.text;
  if (time > rotary.time)
    throw new Error(
      `model/languagePass: ${time} tokens are more than the ${rotary.time} positions that are computed with; shorten the prompt`,
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
