/** A SigLIP-style vision tower (SmolVLM, Idefics3), forward only: it is frozen, and its output can be kept per image. */
import type { Kernels, LinearWeight } from '@contextlora/kernels';
import * as tf from '@tensorflow/tfjs-core';

import type { VisionSpec } from './model-spec.js';

export interface VisionLayerWeights {
  readonly q: LinearWeight;
  readonly k: LinearWeight;
  readonly v: LinearWeight;
  readonly out: LinearWeight;
  readonly up: LinearWeight;
  readonly down: LinearWeight;
  readonly norm1: { readonly gain: Float32Array; readonly bias: Float32Array };
  readonly norm2: { readonly gain: Float32Array; readonly bias: Float32Array };
}

export interface VisionWeights {
  /** The patch convolution as a matrix `[hidden, 3 · patch · patch]`. */
  readonly patches: LinearWeight;
  /** `[patches, hidden]` */
  readonly positions: Float32Array;
  readonly layers: readonly VisionLayerWeights[];
  readonly postNorm: { readonly gain: Float32Array; readonly bias: Float32Array };
}

/** Normalised images `[3, size, size]` each → hidden states `[images · patches, hidden]` after the last norm. */
export function visionTower(
  images: readonly Float32Array[],
  weights: VisionWeights,
  { spec, kernels }: { spec: VisionSpec; kernels: Kernels },
): tf.Tensor2D {
  const side = spec.imageSizePixels / spec.patchSizePixels;
  const time = side * side;
  const shape = {
    batch: images.length,
    time,
    heads: spec.heads,
    kvHeads: spec.heads,
    headDim: spec.hiddenSize / spec.heads,
    causal: false,
  };
  return tf.tidy(() => {
    // Inside tidy what the operations save is freed with everything else.
    const positions = new Float32Array(images.length * time * spec.hiddenSize);
    for (let i = 0; i < images.length; i++) positions.set(weights.positions, i * time * spec.hiddenSize);
    let x = kernels.add(
      kernels.patchEmbedding(images, weights.patches, { ...spec, channels: 3 }).y,
      tf.tensor2d(positions, [images.length * time, spec.hiddenSize]),
    );
    for (const layer of weights.layers) {
      const n = kernels.layerNorm(x, layer.norm1.gain, layer.norm1.bias, spec.layerEpsilon).y;
      const [q, k, v] = [layer.q, layer.k, layer.v].map((w) => kernels.linear(n, w).y) as [
        tf.Tensor2D,
        tf.Tensor2D,
        tf.Tensor2D,
      ];
      const attended = kernels.attention(q, k, v, shape).y;
      x = kernels.add(x, kernels.linear(attended, layer.out).y);
      const m = kernels.layerNorm(x, layer.norm2.gain, layer.norm2.bias, spec.layerEpsilon).y;
      const inner = kernels.gelu(kernels.linear(m, layer.up).y, spec.gelu).y;
      x = kernels.add(x, kernels.linear(inner, layer.down).y);
    }
    return kernels.layerNorm(x, weights.postNorm.gain, weights.postNorm.bias, spec.layerEpsilon).y;
  });
}

/**
 * Pixel shuffle of one image's hidden states `[patches, hidden]` → `[image tokens, hidden · factor²]`.
 *
 * Token (i, j) concatenates the patches (i·f + dy, j·f + dx), dy outer, dx inner, channels innermost
 * (transformers, models/idefics3/modeling_idefics3.py, pixel_shuffle).
 */
export function pixelShuffle(
  hidden: Float32Array,
  { imageSizePixels, patchSizePixels, hiddenSize, scaleFactor: f }: VisionSpec,
): Float32Array {
  const side = imageSizePixels / patchSizePixels;
  const blocks = side / f;
  const result = new Float32Array(hidden.length);
  let at = 0;
  for (let i = 0; i < blocks; i++)
    for (let j = 0; j < blocks; j++)
      for (let dy = 0; dy < f; dy++)
        for (let dx = 0; dx < f; dx++) {
          const patch = (i * f + dy) * side + j * f + dx;
          result.set(hidden.subarray(patch * hiddenSize, (patch + 1) * hiddenSize), at);
          at += hiddenSize;
        }
  return result;
}
