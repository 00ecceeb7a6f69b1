/** A layer of a frozen encoder, of pictures or of sounds: norms with a bias, attention to all positions, an MLP with a gelu. */
import type { AttentionShape, GeluVariant, Kernels, LinearWeight, LoraSegment } from '@contextlora/kernels';
import type { Tensor2D } from '@contextlora/kernels/tfjs';

import type { EncoderLinear } from '../spec/encoder-linears.js';

export interface LayerNormWeights {
  readonly gain: Float32Array;
  readonly bias: Float32Array;
}

export interface EncoderLayerWeights {
  readonly q: LinearWeight;
  readonly k: LinearWeight;
  readonly v: LinearWeight;
  readonly out: LinearWeight;
  readonly up: LinearWeight;
  readonly down: LinearWeight;
  readonly norm1: LayerNormWeights;
  readonly norm2: LayerNormWeights;
}

export interface EncoderLayerOptions {
  readonly kernels: Kernels;
  readonly shape: AttentionShape;
  readonly epsilon: number;
  readonly gelu: GeluVariant;
  /** What an adapter adds to a linear, by its name within the layer. */
  readonly segmentsOf: (linear: EncoderLinear) => readonly LoraSegment[] | undefined;
}

/** x `[rows, hidden]` → the same shape; within tf.tidy, which frees what lies between. */
export function encoderLayer(
  x: Tensor2D,
  layer: EncoderLayerWeights,
  { kernels, shape, epsilon, gelu, segmentsOf }: EncoderLayerOptions,
): Tensor2D {
  const norm = (input: Tensor2D, { gain, bias }: LayerNormWeights) =>
    kernels.layerNorm(input, gain, bias, epsilon).y;
  const linear = (input: Tensor2D, weight: LinearWeight, name: EncoderLinear) =>
    kernels.linear(input, weight, segmentsOf(name)).y;
  const n = norm(x, layer.norm1);
  const q = linear(n, layer.q, 'self_attn.q_proj');
  const k = linear(n, layer.k, 'self_attn.k_proj');
  const v = linear(n, layer.v, 'self_attn.v_proj');
  const attended = kernels.attention(q, k, v, shape).y;
  const middle = kernels.add(x, linear(attended, layer.out, 'self_attn.out_proj'));
  const inner = kernels.gelu(linear(norm(middle, layer.norm2), layer.up, 'fc1'), gelu).y;
  return kernels.add(middle, linear(inner, layer.down, 'fc2'));
}
