/** The linears of a layer of a frozen tower, as Whisper names them; vision towers have the last two in `mlp`. */
export const encoderLinears = [
  'self_attn.q_proj',
  'self_attn.k_proj',
  'self_attn.v_proj',
  'self_attn.out_proj',
  'fc1',
  'fc2',
] as const;

export type EncoderLinear = (typeof encoderLinears)[number];
