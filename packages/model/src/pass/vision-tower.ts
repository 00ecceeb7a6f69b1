/**
 * The vision towers SigLIP (SmolVLM, Idefics3) and CLIP (LLaVA), forward only: they are frozen, so their output can be stored per image.
 */
import type { Kernels, LinearWeight } from '@contextlora/kernels';
import * as tf from '@contextlora/kernels/tfjs';

import type { VisionSpec } from '../spec/vision-spec.js';
import { encoderLayer, type EncoderLayerWeights, type LayerNormWeights } from './encoder-layer.js';
import type { SegmentsByLinear } from './segments.js';

export interface VisionWeights {
  /** The patch convolution as a matrix `[hidden, 3 · patch · patch]`. */
  readonly patches: LinearWeight;
  /** `[patches, hidden]`; CLIP has an additional first row for the class token. */
  readonly positions: Float32Array;
  readonly layers: readonly EncoderLayerWeights[];
  /** CLIP: the class token `[hidden]` and the norm before the first layer. */
  readonly classToken?: Float32Array;
  readonly firstNorm?: LayerNormWeights;
  /** SigLIP: the norm after the last layer. */
  readonly lastNorm?: LayerNormWeights;
  /** LLaVA: the linear before the connector. */
  readonly projector?: LinearWeight;
  /** What an adapter adds to linears of the tower and to the projector, by their full names. */
  readonly segments?: SegmentsByLinear;
}

/**
 * Normalised images, each `[3, size, size]`, → hidden states `[images · patches, hidden]`: after the last norm in SigLIP; after the
 * feature layer in CLIP, without the class token unless the model keeps it.
 */
export function visionTower(
  images: readonly Float32Array[],
  weights: VisionWeights,
  { spec, kernels }: { spec: VisionSpec; kernels: Kernels },
): tf.Tensor2D {
  const patches = (spec.imageSizePixels / spec.patchSizePixels) ** 2;
  const time = weights.classToken ? patches + 1 : patches;
  const shape = {
    batch: images.length,
    time,
    heads: spec.heads,
    kvHeads: spec.heads,
    headDim: spec.hiddenSize / spec.heads,
    causal: false,
  };
  const norm = (x: tf.Tensor2D, { gain, bias }: LayerNormWeights) =>
    kernels.layerNorm(x, gain, bias, spec.layerEpsilon).y;
  return tf.tidy(() => {
    // tidy also frees what the operations save for a backward pass.
    let x = kernels.add(
      withClassToken(
        kernels.patchEmbedding(images, weights.patches, { ...spec, channels: 3 }).y,
        weights.classToken,
        { kernels, images: images.length },
      ),
      repeated(weights.positions, images.length, spec.hiddenSize),
    );
    if (weights.firstNorm) x = norm(x, weights.firstNorm);
    for (const [layerIndex, layer] of weights.layers.entries())
      x = encoderLayer(x, layer, {
        kernels,
        shape,
        epsilon: spec.layerEpsilon,
        gelu: spec.gelu,
        segmentsOf: (linear) =>
          weights.segments?.get(
            `${spec.prefix}encoder.layers.${layerIndex}.${linear.startsWith('fc') ? 'mlp.' : ''}${linear}`,
          ),
      });
    if (weights.lastNorm) x = norm(x, weights.lastNorm);
    if (!weights.classToken || spec.keepsClassToken) return x;
    const rows = Array.from({ length: images.length * time }, (_, row) => row);
    return kernels.gatherRows(x, Int32Array.from(rows.filter((row) => row % time !== 0)));
  });
}

/** A matrix repeated `count` times along the rows. */
function repeated(values: Float32Array, count: number, features: number): tf.Tensor2D {
  const all = new Float32Array(count * values.length);
  for (let i = 0; i < count; i++) all.set(values, i * values.length);
  return tf.tensor2d(all, [all.length / features, features]);
}

/** Inserts the class token before the patches of each image. */
function withClassToken(
  x: tf.Tensor2D,
  token: Float32Array | undefined,
  { kernels, images }: { kernels: Kernels; images: number },
): tf.Tensor2D {
  if (!token) return x;
  const patches = x.shape[0] / images;
  const all = tf.concat2d([x, tf.tensor2d(token, [1, token.length])], 0);
  const rows = Array.from({ length: images }, (_, image) => [
    x.shape[0],
    ...Array.from({ length: patches }, (__, patch) => image * patches + patch),
  ]).flat();
  return kernels.gatherRows(all, Int32Array.from(rows));
}

/**
 * The connector's input for each image, `[image tokens, wide]`: the tower's hidden states, pixel-shuffled in SmolVLM, after the projector
 * and gelu in LLaVA.
 */
export async function visionFeatures(
  images: readonly Float32Array[],
  weights: VisionWeights,
  { spec, kernels }: { spec: VisionSpec; kernels: Kernels },
): Promise<Float32Array[]> {
  const features = tf.tidy(() => {
    const hidden = visionTower(images, weights, { spec, kernels });
    if (!weights.projector || !spec.projector) return hidden;
    const active = weights.segments?.get(spec.projector.name);
    const projected = kernels.linear(hidden, weights.projector, active).y;
    return kernels.gelu(projected, spec.projector.gelu).y;
  });
  const values = (await features.data()) as Float32Array;
  features.dispose();
  const size = values.length / images.length;
  return images.map((_, i) => {
    const hidden = values.slice(i * size, (i + 1) * size);
    return spec.scaleFactor === 1 ? hidden : pixelShuffle(hidden, spec);
  });
}

/**
 * Pixel shuffle of one image's hidden states `[patches, hidden]` → `[image tokens, hidden · factor²]`.
 *
 * Token (i, j) concatenates the patches (i·f + dy, j·f + dx), dy outer, dx inner, channels innermost
 * (transformers, models/idefics3/modeling_idefics3.py, pixel_shuffle).
 */
function pixelShuffle(
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
