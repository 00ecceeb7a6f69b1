/** Converts a GGUF file's metadata to the `config.json` that the same model has in the Hugging Face layout. */
import { ModelError } from '../model-error.js';
import type { GgufHeader } from './header.js';

const architectures: Readonly<Record<string, string>> = { llama: 'llama', qwen2: 'qwen2', qwen3: 'qwen3' };

/** @throws ModelError for an unsupported architecture, a mixture of experts or partial rotary embeddings. */
export function ggufConfig({ metadata, tensors }: GgufHeader, path: string): Record<string, unknown> {
  const architecture = metadata.get('general.architecture');
  const type =
    typeof architecture === 'string' && Object.hasOwn(architectures, architecture)
      ? architectures[architecture]
      : undefined;
  if (type === undefined)
    throw new ModelError(
      'MODEL_UNSUPPORTED',
      'ggufConfig',
      `${path}: architecture ${JSON.stringify(architecture)} is not supported; supported in GGUF files are ${Object.keys(architectures).join(', ')}`,
    );
  const value = (key: string) => {
    const found = metadata.get(`${architecture as string}.${key}`);
    return typeof found === 'bigint' ? Number(found) : found;
  };
  const refuse = (what: string) => {
    throw new ModelError('MODEL_UNSUPPORTED', 'ggufConfig', `${path}: ${what}`);
  };
  const required = ['embedding_length', 'block_count', 'feed_forward_length', 'attention.head_count'];
  const missing = required.filter((key) => !(Number(value(key)) > 0));
  if (missing.length > 0)
    throw new ModelError(
      'MODEL_FILE_DAMAGED',
      'ggufConfig',
      `${path}: needs positive numbers, but ${missing.map((key) => `"${architecture as string}.${key}" is ${describe(value(key))}`).join(', ')}`,
    );
  if (Number(value('expert_count') ?? 0) > 0) refuse('a mixture of experts is not supported');
  const headDim =
    value('attention.key_length') ??
    Number(value('embedding_length')) / Number(value('attention.head_count'));
  const rotary = value('rope.dimension_count') ?? headDim;
  if (rotary !== headDim)
    refuse(
      `"rope.dimension_count" is ${describe(rotary)} of ${describe(headDim)}; only whole heads turned by rotary embeddings are supported`,
    );
  const values = value('attention.value_length') ?? headDim;
  if (values !== headDim)
    refuse(
      `"attention.value_length" is ${describe(values)}, and keys have ${describe(headDim)}; both must be equal`,
    );
  const scaling = value('rope.scaling.type') ?? 'none';
  return {
    model_type: type,
    vocab_size: tensors.get('token_embd.weight')?.shape[0] ?? value('vocab_size'),
    hidden_size: value('embedding_length'),
    intermediate_size: value('feed_forward_length'),
    num_hidden_layers: value('block_count'),
    num_attention_heads: value('attention.head_count'),
    num_key_value_heads: value('attention.head_count_kv') ?? value('attention.head_count'),
    head_dim: headDim,
    rms_norm_eps: value('attention.layer_norm_rms_epsilon'),
    max_position_embeddings: value('context_length'),
    rope_theta: value('rope.freq_base') ?? 10_000,
    ...(scaling === 'none'
      ? {}
      : {
          rope_scaling: {
            rope_type: scaling,
            factor: value('rope.scaling.factor'),
            original_max_position_embeddings: value('rope.scaling.original_context_length'),
          },
        }),
    attention_bias: tensors.has('blk.0.attn_q.bias'),
    tie_word_embeddings: !tensors.has('output.weight'),
    sliding_window: value('attention.sliding_window'),
  };
}

/** A value for a message. */
const describe = (value: unknown) =>
  typeof value === 'number' ? String(value) : JSON.stringify(value ?? null);
