/** FLOPs of a decoder layer's passes and what it keeps between them, for one sample. */
import type { LayerLinear, ModelSpec } from '@contextlora/model';

import { type AdaptedLinear, downFlops, gradientFlops, throughFlops } from './adapted-linear.js';

/** The linear layers of one decoder layer. */
export type DecoderLinears = Readonly<Record<LayerLinear, AdaptedLinear>>;

/** One product over all pairs of a sample's positions, over all heads. */
const pairFlops = ({ text }: ModelSpec, tokens: number): number =>
  2 * text.heads * text.headDim * tokens * tokens;

/** Every linear layer, and attention's two products over pairs of positions. */
export const layerForwardFlops = (linears: DecoderLinears, spec: ModelSpec, tokens: number): number =>
  Object.values(linears).reduce((sum, linear) => sum + throughFlops(linear, tokens), 0) +
  2 * pairFlops(spec, tokens);

/** Follows `decoderLayerBackward` step by step: it computes nothing that no trained segment needs. */
export function layerBackwardFlops(
  linears: DecoderLinears,
  spec: ModelSpec,
  tokens: number,
  { input: needInput }: { input: boolean },
): { input: number; weight: number } {
  const trains = (...names: LayerLinear[]) => names.some((name) => linears[name].trainedRanks > 0);
  const needQkv = needInput || trains('self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj');
  const needAttention = needQkv || trains('self_attn.o_proj');
  const needGateUp = needAttention || trains('mlp.gate_proj', 'mlp.up_proj');
  let input = needQkv ? 4 * pairFlops(spec, tokens) : 0;
  let weight = 0;
  const back = (name: LayerLinear, owed: boolean) => {
    const linear = linears[name];
    if (owed) input += throughFlops(linear, tokens);
    weight += gradientFlops(linear, tokens) + (owed ? 0 : downFlops(linear, tokens));
  };
  back('mlp.down_proj', needGateUp);
  if (needGateUp) for (const name of ['mlp.gate_proj', 'mlp.up_proj'] as const) back(name, needAttention);
  if (needAttention) back('self_attn.o_proj', needQkv);
  if (needQkv)
    for (const name of ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'] as const)
      back(name, needInput);
  return { input, weight };
}

/**
 * Bytes that a layer keeps for its backward pass on the fast backends, in float32: its input, both norms, queries, keys and values
 * before and after rotation, attention's weights and output, both branches of the MLP and their product, the two sums, and x Aᵀ of
 * each active segment.
 */
export function layerKeptBytes(linears: DecoderLinears, { text }: ModelSpec, tokens: number): number {
  const { hiddenSize, mlpSize, heads, kvHeads, headDim, headNorms } = text;
  // Normed queries and keys, and one number for each head.
  const normed = headNorms ? (heads + kvHeads) * (headDim + 1) : 0;
  const segments = Object.values(linears).reduce((sum, { activeRanks }) => sum + activeRanks, 0);
  const perToken =
    6 * hiddenSize +
    3 * heads * headDim +
    4 * kvHeads * headDim +
    3 * mlpSize +
    heads * tokens +
    2 +
    normed +
    segments;
  return 4 * tokens * perToken;
}
