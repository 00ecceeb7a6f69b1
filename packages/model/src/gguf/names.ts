/** The names and the order of rows that llama.cpp has for the tensors of a text model. */

const layerNames: Readonly<Record<string, string>> = {
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'self_attn.q_norm': 'attn_q_norm',
  'self_attn.k_norm': 'attn_k_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
  input_layernorm: 'attn_norm',
  post_attention_layernorm: 'ffn_norm',
};

/** The name in a GGUF file of a text model's tensor, such as `model.layers.0.…`. */
export function ggufNameOf(name: string): string | undefined {
  if (name === 'model.embed_tokens.weight') return 'token_embd.weight';
  if (name === 'model.norm.weight') return 'output_norm.weight';
  if (name === 'lm_head.weight') return 'output.weight';
  const match = /^model\.layers\.(\d+)\.(.+)\.(weight|bias)$/.exec(name);
  const inner = match?.[2] === undefined ? undefined : layerNames[match[2]];
  return inner === undefined ? undefined : `blk.${match?.[1]}.${inner}.${match?.[3]}`;
}

/** Whether files of an architecture have the rows of a tensor in another order, by rotary pairs. */
export const isPermuted = (architecture: string, name: string): boolean =>
  architecture === 'llama' && /\.self_attn\.[qk]_proj\.(weight|bias)$/.test(name);

/** The row of Hugging Face's matrix that is row `row` of the file's: [heads, d/2, 2] → [heads, 2, d/2]. */
export function rowOfFile(row: number, headDim: number): number {
  const within = row % headDim;
  return row - within + (within % 2) * (headDim / 2) + (within >> 1);
}
