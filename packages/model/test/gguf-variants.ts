/**
 * Small GGUF models with settings that change what they compute; fixtures/make-gguf-variants.ts has llama.cpp run the same files.
 */
import { type GgufParts, type Value, writeGguf, type WrittenTensor } from './write-gguf.js';

interface Variant {
  readonly name: string;
  /** @default llama */
  readonly architecture?: 'llama' | 'qwen2' | 'qwen3';
  /** Settings of the architecture, without its name. */
  readonly settings?: Readonly<Record<string, Value>>;
  /** Tensors in addition to those of every model. */
  readonly tensors?: readonly (readonly [name: string, ...shape: number[]])[];
}

const [hidden, heads, kvHeads, headDim, mlp, layers, vocabulary] = [32, 4, 2, 8, 48, 2, 64] as const;

export const f32 = (value: number): Value => ({ type: 'f32', value });
export const u32 = (value: number): Value => ({ type: 'u32', value });
export const text = (value: string): Value => ({ type: 'text', value });
const perLayer = (...tensors: (readonly [string, ...number[]])[]) =>
  Array.from({ length: layers }, (_, i) => i).flatMap((i) =>
    tensors.map(([name, ...shape]) => [`blk.${i}.${name}`, ...shape] as const),
  );
const qkv = [['attn_q.bias', hidden], ['attn_k.bias', kvHeads * headDim], ['attn_v.bias', kvHeads * headDim]] as const; // prettier-ignore
const norms = [['attn_q_norm.weight', headDim], ['attn_k_norm.weight', headDim]] as const; // prettier-ignore

/** What llama.cpp acts on. */
export const ggufVariants: readonly Variant[] = [
  { name: 'plain' },
  { name: 'a scaling factor without a type', settings: { 'rope.scaling.factor': f32(4) } },
  { name: 'the older name of the factor', settings: { 'rope.scale_linear': f32(4) } },
  {
    name: 'both names of the factor',
    settings: { 'rope.scale_linear': f32(9), 'rope.scaling.factor': f32(4) },
  },
  { name: 'a factor of 0', settings: { 'rope.scaling.factor': f32(0) } },
  {
    name: 'a factor with the type none',
    settings: { 'rope.scaling.type': text('none'), 'rope.scaling.factor': f32(4) },
  },
  { name: 'an attention factor', settings: { 'rope.scaling.attn_factor': f32(1.4) } },
  {
    name: 'an attention factor with linear scaling',
    settings: { 'rope.scaling.attn_factor': f32(1.4), 'rope.scaling.factor': f32(2) },
  },
  {
    name: 'yarn',
    settings: {
      'rope.scaling.type': text('yarn'),
      'rope.scaling.factor': f32(4),
      'rope.scaling.original_context_length': u32(16),
    },
  },
  {
    name: 'yarn with an attention factor and without original positions',
    settings: {
      'rope.scaling.type': text('yarn'),
      'rope.scaling.factor': f32(8),
      'rope.scaling.attn_factor': f32(0.8),
    },
  },
  { name: 'yarn without a factor', settings: { 'rope.scaling.type': text('yarn') } },
  { name: 'divisors', tensors: [['rope_freqs.weight', headDim / 2]] },
  {
    name: 'divisors with linear scaling',
    settings: { 'rope.scaling.factor': f32(3) },
    tensors: [['rope_freqs.weight', headDim / 2]],
  },
  { name: 'a base', settings: { 'rope.freq_base': f32(500) } },
  {
    name: 'biases of the MLP',
    tensors: perLayer(['ffn_gate.bias', mlp], ['ffn_up.bias', mlp], ['ffn_down.bias', hidden]),
  },
  { name: 'biases of q, k and v', tensors: perLayer(...qkv) },
  { name: 'biases of q, k, v and the output', tensors: perLayer(...qkv, ['attn_output.bias', hidden]) },
  { name: 'a bias of the output only', tensors: perLayer(['attn_output.bias', hidden]) },
  { name: 'an untied head', tensors: [['output.weight', vocabulary, hidden]] },
  { name: 'a sliding window, which Llama ignores', settings: { 'attention.sliding_window': u32(16) } },
  { name: 'no epsilon', settings: { 'attention.layer_norm_rms_epsilon': f32(0) } },
  {
    name: 'counts for each layer',
    settings: {
      'attention.head_count': { type: 'i32s', value: [heads, heads] },
      'attention.head_count_kv': { type: 'i32s', value: [kvHeads, kvHeads] },
    },
  },
  { name: 'qwen2', architecture: 'qwen2', tensors: perLayer(...qkv) },
  {
    name: 'qwen2 with yarn',
    architecture: 'qwen2',
    tensors: perLayer(...qkv),
    settings: { 'rope.scaling.type': text('yarn'), 'rope.scaling.factor': f32(4), 'rope.scaling.original_context_length': u32(16) }, // prettier-ignore
  },
  { name: 'qwen3', architecture: 'qwen3', tensors: perLayer(...norms) },
  {
    name: 'qwen3 with linear scaling',
    architecture: 'qwen3',
    tensors: perLayer(...norms),
    settings: { 'rope.scaling.factor': f32(4) },
  },
];

/** The tokens that every variant reads. */
export const variantIds = Array.from({ length: 14 }, (_, i) => 1 + ((i * 11) % 60));

const base: readonly (readonly [string, ...number[]])[] = [
  ['token_embd.weight', vocabulary, hidden],
  ['output_norm.weight', hidden],
  ...perLayer(
    ['attn_norm.weight', hidden],
    ['attn_q.weight', heads * headDim, hidden],
    ['attn_k.weight', kvHeads * headDim, hidden],
    ['attn_v.weight', kvHeads * headDim, hidden],
    ['attn_output.weight', hidden, heads * headDim],
    ['ffn_norm.weight', hidden],
    ['ffn_gate.weight', mlp, hidden],
    ['ffn_up.weight', mlp, hidden],
    ['ffn_down.weight', hidden, mlp],
  ),
];

/** A tensor whose numbers follow from its name alone. */
function tensorOf([name, ...shape]: readonly [string, ...number[]]): WrittenTensor {
  const values = new Float32Array(shape.reduce((product, n) => product * n, 1));
  let state = Buffer.from(name).reduce((hash, byte) => (Math.imul(hash, 31) + byte) >>> 0, 7);
  for (let i = 0; i < values.length; i++) {
    // The generator of Numerical Recipes.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const random = state / 2 ** 31 - 1;
    values[i] = name.includes('norm')
      ? 1 + 0.2 * random
      : name.startsWith('rope')
        ? 2.5 + random
        : 0.5 * random;
  }
  return { name, shape, type: 0, bytes: Buffer.from(values.buffer) };
}

/** The parts of a variant, which a test may change further. */
export function variantParts({
  architecture = 'llama',
  settings = {},
  tensors = [],
}: Omit<Variant, 'name'>): GgufParts {
  const letters = Array.from({ length: vocabulary - 3 }, (_, i) => String.fromCharCode(48 + i));
  const tokens = ['<s>', '</s>', ...letters, '01'];
  const all: Readonly<Record<string, Value>> = {
    context_length: u32(32),
    embedding_length: u32(hidden),
    block_count: u32(layers),
    feed_forward_length: u32(mlp),
    'attention.head_count': u32(heads),
    'attention.head_count_kv': u32(kvHeads),
    'attention.layer_norm_rms_epsilon': f32(1e-5),
    ...settings,
  };
  return {
    metadata: [
      ['general.architecture', text(architecture)],
      ...Object.entries(all).map(([key, value]) => [`${architecture}.${key}`, value] as const),
      ['tokenizer.ggml.model', text('gpt2')],
      ['tokenizer.ggml.pre', text('gpt-2')],
      ['tokenizer.ggml.tokens', { type: 'texts', value: tokens }],
      ['tokenizer.ggml.token_type', { type: 'i32s', value: tokens.map((_, i) => (i < 2 ? 3 : 1)) }],
      ['tokenizer.ggml.merges', { type: 'texts', value: ['0 1'] }],
      ['tokenizer.ggml.bos_token_id', u32(0)],
      ['tokenizer.ggml.eos_token_id', u32(1)],
    ],
    tensors: [...base, ...tensors].map(tensorOf),
  };
}

export const writeVariant = (variant: Omit<Variant, 'name'>): Buffer => writeGguf(variantParts(variant));
