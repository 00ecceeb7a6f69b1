/** The dimensions of common models, from their config.json, so that planning needs no weights. */
import { type ModelSpec, parseModelSpec } from './model-spec.js';

const configs = {
  'smollm2-135m': {
    model_type: 'llama',
    vocab_size: 49_152,
    hidden_size: 576,
    intermediate_size: 1536,
    num_hidden_layers: 30,
    num_attention_heads: 9,
    num_key_value_heads: 3,
    rms_norm_eps: 1e-5,
    rope_theta: 100_000,
    max_position_embeddings: 8192,
    tie_word_embeddings: true,
  },
  'qwen2.5-0.5b': {
    model_type: 'qwen2',
    vocab_size: 151_936,
    hidden_size: 896,
    intermediate_size: 4864,
    num_hidden_layers: 24,
    num_attention_heads: 14,
    num_key_value_heads: 2,
    rms_norm_eps: 1e-6,
    rope_theta: 1_000_000,
    max_position_embeddings: 32_768,
    tie_word_embeddings: true,
  },
  'llama-3.2-1b': {
    // Its rope scaling is left out: it changes angles, not work.
    model_type: 'llama',
    vocab_size: 128_256,
    hidden_size: 2048,
    intermediate_size: 8192,
    num_hidden_layers: 16,
    num_attention_heads: 32,
    num_key_value_heads: 8,
    head_dim: 64,
    rms_norm_eps: 1e-5,
    rope_theta: 500_000,
    max_position_embeddings: 131_072,
    tie_word_embeddings: true,
  },
} as const;

export const publishedSpecNames: readonly string[] = Object.keys(configs);

/** The dimensions in the config.json of one of {@link publishedSpecNames}; undefined for any other name. */
export const publishedConfig = (name: string): Readonly<Record<string, unknown>> | undefined =>
  Object.entries(configs).find(([known]) => known === name.toLowerCase())?.[1];

/** The spec of one of {@link publishedSpecNames}; undefined for any other name. */
export function publishedSpec(name: string): ModelSpec | undefined {
  const config = publishedConfig(name);
  return config && parseModelSpec(config, name);
}
