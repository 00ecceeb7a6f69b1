/**
 * The operations of a transformer layer as explicit forward / backward pairs on tfjs-core tensors.
 *
 * There is no tape: a forward returns what its backward needs in `saved`, which the caller keeps as long as it likes and then disposes.
 * Activations are `[rows, features]` with `rows = batch × time`, batch-major. Every returned tensor belongs to the caller; inputs are
 * never disposed. Several implementations ("backends") share this interface and agree within 1e-5 relative.
 */
import type { Tensor2D } from '@contextlora/kernels/tfjs';

import type { CompactWeight } from './compact/compact-formats.js';
import type { IntegerWeight } from './integer/integer-weight.js';

/** A frozen base weight in the layout of its backend, made by {@link Kernels.prepareLinear}. */
export interface LinearWeight {
  readonly outFeatures: number;
  readonly inFeatures: number;
  readonly hasBias: boolean;
  dispose(): void;
}

/** The two thin matrices that some ranks of a LoRA add to a linear layer, or the gradients of these. */
export interface MatrixPair {
  /** `[rank, in]` */
  readonly a: Tensor2D;
  /** `[out, rank]` */
  readonly b: Tensor2D;
}

/** One active segment of a linear layer: adds `scale · B (A x)`. */
export interface LoraSegment extends MatrixPair {
  /** alpha / rank, or alpha / sqrt(rank) for rsLoRA, times the dependency gate if there is one. */
  readonly scale: number;
  /** Whether `linearBackward` returns the gradients of a and b. */
  readonly train: boolean;
  /** What A reads of x in place of all of it. */
  readonly dropout?: InputDropout;
  /** The half-open range of rows of x that it applies to; all if absent. Forward only, and without dropout. */
  readonly rows?: { readonly start: number; readonly end: number };
}

/** What is left of an input of `[rows, in]`: every number is multiplied by `scale` or, where `kept` is 0, left out. */
export interface InputDropout {
  /** `[rows · in]`, 0 or 1. */
  readonly kept: Uint8Array;
  /** 1 / (1 − rate) */
  readonly scale: number;
}

/** dA and dB of a segment that trains. */
export type SegmentGradient = MatrixPair;

/** What a backward needs from its forward. Its tensors may be the forward's inputs; `dispose` frees only the others. */
export interface Saved {
  dispose(): void;
}

export interface Forward {
  readonly y: Tensor2D;
  readonly saved: Saved;
}

/** How the rows of an activation are laid out for attention. */
export interface AttentionShape {
  readonly batch: number;
  readonly time: number;
  readonly heads: number;
  /** Grouped-query attention: query head h uses key/value head floor(h · kvHeads / heads). */
  readonly kvHeads: number;
  readonly headDim: number;
  /** Causal for a decoder, not for a vision tower. */
  readonly causal: boolean;
  /** For each batch row, the first key that may be attended to (left padding); 0 for all if absent. */
  readonly firstKeys?: readonly number[];
}

/** Cosines and sines for every position and half head dimension, `[time, headDim / 2]` each, row-major. */
export interface RotaryTable {
  readonly time: number;
  readonly halfDim: number;
  readonly cos: Float32Array;
  readonly sin: Float32Array;
}

/** The positions that attention rotates queries and keys by: row t of each batch item uses table row `offset + t`. */
export interface RotaryPositions {
  readonly table: RotaryTable;
  readonly offset?: number;
}

export interface RotaryShape {
  readonly batch: number;
  readonly time: number;
  readonly heads: number;
  readonly headDim: number;
}

/** The size of a cache of keys and values. */
export interface CacheShape {
  readonly layers: number;
  readonly batch: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Rotates queries and keys; a row cannot have more positions than it. */
  readonly rotary: RotaryTable;
  /** Positions that a row has room for at first; doubled when they are used up. */
  readonly capacity?: number;
}

/**
 * Keys and values of earlier positions, so that a new position costs only its own work. Each batch row has its own number of positions,
 * starting at 0; nothing is padded. It holds `2 · layers · batch · kvHeads · capacity · headDim` floats.
 */
export interface KeyValueCache {
  readonly shape: CacheShape;
  readonly batch: number;
  /** Positions that each row has room for. */
  readonly capacity: number;
  /** Positions that each row has. */
  readonly lengths: readonly number[];
  readonly memoryBytes: number;
  /** Makes room for this many positions a row at once instead of by doubling. */
  reserve(positions: number): void;
  /** Ends a pass over all decoder layers: the new positions of each row now count as earlier ones. */
  advance(counts: readonly number[]): void;
  /** Keeps only the first positions of each row. */
  truncate(lengths: readonly number[]): void;
  /**
   * Makes the batch consist of these rows in this order; rows may be repeated or left out. With `others`, a cache of the same shape that
   * stays as it is, its rows are numbered after those of this one.
   */
  select(rows: readonly number[], others?: KeyValueCache): void;
  dispose(): void;
}

/** The new positions of one decoder layer. */
export interface NewPositions {
  readonly layer: number;
  readonly heads: number;
  /** The number of new positions of each batch row; q, k and v are padded to the largest, with any values. */
  readonly counts: readonly number[];
}

/** A loss: a number, or on WebGPU, which can only be read asynchronously, the promise of one; `await` takes both. */
export type LossValue = number | Promise<number>;

export type GeluVariant = 'tanh' | 'erf' | 'quick';

/** Square images of `channels` planes, cut into square patches. */
export interface PatchShape {
  readonly imageSizePixels: number;
  readonly patchSizePixels: number;
  readonly channels: number;
}

export interface AdamWOptions {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Decoupled: `p ← p − lr · weightDecay · p` before the Adam step. */
  readonly weightDecay: number;
  /** Step number, from 1. */
  readonly step: number;
  /** Factor applied to every gradient first (global-norm clipping, mean over micro-batches). */
  readonly gradientScale: number;
}

export interface Kernels {
  /** Which implementation this is. */
  readonly backend: 'reference' | 'wasm' | 'onnx';

  /**
   * Takes a frozen weight `[out, in]`, row-major, and its bias `[out]`. A compact one stays compact, outside the heap; with an integer one,
   * inputs and gradients are rounded to bytes too, and a row of them that is not finite makes its results NaN.
   */
  prepareLinear(
    weight: Float32Array | CompactWeight | IntegerWeight,
    outFeatures: number,
    inFeatures: number,
    bias?: Float32Array,
  ): LinearWeight;

  /** y = x Wᵀ + bias + Σ scale · (x Aᵀ) Bᵀ; x `[rows, in]`, y `[rows, out]`. */
  linear(x: Tensor2D, weight: LinearWeight, segments?: readonly LoraSegment[]): Forward;

  /**
   * dx = dy W + Σ scale · (dy B) A, and per segment with `train`: dA = scale · (dy B)ᵀ x, dB = scale · dyᵀ (x Aᵀ).
   * Without `needed.input`, dx is null and not computed; nor is the gradient of a segment that does not train.
   */
  linearBackward(
    dy: Tensor2D,
    saved: Saved,
    weight: LinearWeight,
    segments: readonly LoraSegment[],
    needed: { readonly input: boolean },
  ): { dx: Tensor2D | null; segments: (SegmentGradient | null)[] };

  /** y = x · gain / sqrt(mean(x²) + epsilon) */
  rmsNorm(x: Tensor2D, gain: Float32Array, epsilon: number): Forward;
  rmsNormBackward(dy: Tensor2D, saved: Saved, gain: Float32Array): Tensor2D;

  /** y = (x − mean) / sqrt(variance + epsilon) · gain + bias */
  layerNorm(x: Tensor2D, gain: Float32Array, bias: Float32Array, epsilon: number): Forward;
  layerNormBackward(dy: Tensor2D, saved: Saved, gain: Float32Array): Tensor2D;

  /** Rotates the two halves of each head; row r of batch item i at time t uses table row `offset + t`. */
  rotary(x: Tensor2D, table: RotaryTable, shape: RotaryShape, offset?: number): Tensor2D;
  rotaryBackward(dy: Tensor2D, table: RotaryTable, shape: RotaryShape, offset?: number): Tensor2D;

  /**
   * softmax(q kᵀ / sqrt(headDim) + mask) v; q `[rows, heads · headDim]`, k and v `[rows, kvHeads · headDim]`.
   *
   * With `rotary` the queries and keys are rotated first, and backward rotates their gradients back. A query that may see no key at all
   * (before its row's first key, if causal) yields unspecified but finite values.
   */
  attention(q: Tensor2D, k: Tensor2D, v: Tensor2D, shape: AttentionShape, rotary?: RotaryPositions): Forward;
  attentionBackward(
    dy: Tensor2D,
    saved: Saved,
    shape: AttentionShape,
    rotary?: RotaryPositions,
  ): { dq: Tensor2D; dk: Tensor2D; dv: Tensor2D };

  openCache(shape: CacheShape): KeyValueCache;

  /**
   * Causal attention of new positions over a cache and each other; q, k and v `[batch · time, …]` as in `attention`, rotated by the cache's
   * table. The new keys and values are written to the cache; call `advance` after the last decoder layer to make them part of it.
   */
  cachedAttention(q: Tensor2D, k: Tensor2D, v: Tensor2D, cache: KeyValueCache, step: NewPositions): Tensor2D;

  /** y = silu(gate) · up */
  swiglu(gate: Tensor2D, up: Tensor2D): Forward;
  swigluBackward(dy: Tensor2D, saved: Saved): { dGate: Tensor2D; dUp: Tensor2D };

  /** y = gelu(gate) · up */
  geglu(gate: Tensor2D, up: Tensor2D, variant: GeluVariant): Forward;
  gegluBackward(dy: Tensor2D, saved: Saved): { dGate: Tensor2D; dUp: Tensor2D };

  gelu(x: Tensor2D, variant: GeluVariant): Forward;
  geluBackward(dy: Tensor2D, saved: Saved): Tensor2D;

  /** x + y, without broadcasting. */
  add(x: Tensor2D, y: Tensor2D): Tensor2D;

  /**
   * Row i of the result is row `ids[i]` of a table `[vocabulary, features]`, which need not be a tensor.
   * The gradient of a trained table is `gatherRowsBackward(dy, ids, vocabulary)`.
   */
  embedding(table: Float32Array, ids: Int32Array, features: number): Tensor2D;

  /**
   * Patch embedding: `linear` of every patch, `[images · patches, out]`, patches row by row.
   *
   * Images are `[channels, size, size]`; the weight's inputs are ordered channel, row, column, like the kernel of a convolution.
   * Its backward is `linearBackward` with `saved` from here.
   */
  patchEmbedding(
    images: readonly Float32Array[],
    weight: LinearWeight,
    shape: PatchShape,
    segments?: readonly LoraSegment[],
  ): Forward;

  /** Row i of the result is row `indices[i]` of x. */
  gatherRows(x: Tensor2D, indices: Int32Array): Tensor2D;
  /** Adds row i of dy to row `indices[i]` of a zero `[rows, features]`. */
  gatherRowsBackward(dy: Tensor2D, indices: Int32Array, rows: number): Tensor2D;

  /**
   * Weighted sum over rows of −log softmax(logits)[target], by log-sum-exp, and its gradient.
   * `weights[i]` is usually 1 / number of rows; 0 leaves a row out.
   */
  crossEntropy(
    logits: Tensor2D,
    targets: Int32Array,
    weights: Float32Array,
  ): { loss: LossValue; dLogits: Tensor2D };

  /**
   * `crossEntropy` of the logits x Wᵀ, and its gradient for x if needed.
   *
   * The fast backends hold the logits of one block of rows at a time and overwrite them with their gradient.
   */
  linearCrossEntropy(
    x: Tensor2D,
    weight: LinearWeight,
    targets: Int32Array,
    weights: Float32Array,
    needed: { readonly input: boolean },
  ): { loss: LossValue; dx: Tensor2D | null };

  /**
   * One AdamW step in place over flat buffers of equal length (Loshchilov & Hutter 2019; torch.optim.AdamW).
   */
  adamW(
    parameters: Float32Array,
    gradients: Float32Array,
    firstMoment: Float32Array,
    secondMoment: Float32Array,
    options: AdamWOptions,
  ): void;

  /** Frees what the backend holds for itself (sessions, scratch). */
  dispose(): void;
}
