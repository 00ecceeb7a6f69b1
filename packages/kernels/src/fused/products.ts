/** The matrix products of a fast backend; the fast backends share everything else. */
import type { Tensor2D, TensorInfo } from '@contextlora/kernels/tfjs';

import type { LinearWeight, LoraSegment, SegmentGradient } from '../kernels.js';

/** C[i] = alpha · op(A[i]) op(B[i]) for i < batch; op(A) is `[m, k]`, op(B) `[k, n]`. */
export interface BatchedProduct {
  readonly a: TensorInfo;
  readonly b: TensorInfo;
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  readonly alpha?: number;
}

/** The caller checks the operands. */
export interface Products {
  prepareLinear(
    weight: Float32Array,
    outFeatures: number,
    inFeatures: number,
    bias: Float32Array | undefined,
  ): LinearWeight;
  /** A weight at an address of the heap, for one product. */
  weightAt(
    address: number,
    outFeatures: number,
    inFeatures: number,
    bias: Float32Array | undefined,
  ): LinearWeight;
  /** y, and per segment `scale · x Aᵀ`. */
  linear(
    x: Tensor2D,
    weight: LinearWeight,
    segments: readonly LoraSegment[],
  ): { y: Tensor2D; hidden: Tensor2D[] };
  /** At least one gradient is needed. */
  linearBackward(
    dy: Tensor2D,
    saved: { readonly x: Tensor2D; readonly hidden: readonly Tensor2D[] },
    weight: LinearWeight,
    segments: readonly LoraSegment[],
    needed: { readonly input: boolean },
  ): { dx: Tensor2D | null; segments: (SegmentGradient | null)[] };
  /** `[batch, m, n]`, from `allocate`. */
  batched<Made extends TensorInfo>(
    product: BatchedProduct,
    allocate: (shape: readonly number[]) => Made,
  ): Made;
  dispose(): void;
}
