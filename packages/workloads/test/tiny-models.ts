/** Model directories with random weights, made from a config alone. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { encodeSafetensors, float32Tensor } from '@contextlora/lora/safetensors';
import { modelTensors, parseModelSpec } from '@contextlora/model';

const text = {
  hidden_size: 24,
  intermediate_size: 40,
  num_hidden_layers: 4,
  num_attention_heads: 6,
  num_key_value_heads: 2,
  vocab_size: 200,
  rms_norm_eps: 1e-5,
  max_position_embeddings: 64,
};

/** Configs of architectures whose costs differ: biases, tied heads, head sizes, norms of heads, vision towers. */
export const tinyConfigs: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  llama: { model_type: 'llama', ...text, tie_word_embeddings: false },
  qwen2: { model_type: 'qwen2', ...text, tie_word_embeddings: true },
  mistral: {
    model_type: 'mistral',
    ...text,
    head_dim: 8,
    num_key_value_heads: 3,
    tie_word_embeddings: false,
  },
  qwen3: { model_type: 'qwen3', ...text, head_dim: 8, tie_word_embeddings: true },
  llava: {
    model_type: 'llava',
    text_config: { model_type: 'llama', ...text },
    vision_config: {
      model_type: 'clip_vision_model',
      image_size: 16,
      patch_size: 8,
      hidden_size: 16,
      intermediate_size: 28,
      num_hidden_layers: 3,
      num_attention_heads: 2,
    },
    image_token_index: 3,
    tie_word_embeddings: false,
  },
  qwen2_audio: {
    model_type: 'qwen2_audio',
    text_config: { model_type: 'qwen2', ...text },
    audio_config: {
      num_mel_bins: 8,
      d_model: 16,
      encoder_layers: 2,
      encoder_attention_heads: 2,
      encoder_ffn_dim: 28,
      max_source_positions: 25,
    },
    audio_token_index: 3,
    tie_word_embeddings: false,
  },
  voxtral: {
    model_type: 'voxtral',
    text_config: { model_type: 'llama', ...text, head_dim: 8 },
    audio_config: {
      num_mel_bins: 8,
      hidden_size: 16,
      num_hidden_layers: 2,
      num_attention_heads: 2,
      intermediate_size: 32,
      max_source_positions: 24,
    },
    audio_token_id: 3,
    tie_word_embeddings: false,
  },
  smolvlm: {
    model_type: 'smolvlm',
    text_config: { model_type: 'llama', ...text },
    vision_config: {
      image_size: 32,
      patch_size: 8,
      hidden_size: 16,
      intermediate_size: 28,
      num_hidden_layers: 2,
      num_attention_heads: 2,
    },
    scale_factor: 2,
    image_token_id: 3,
    tie_word_embeddings: false,
  },
};

/** Writes config and weights into the directory, without a tokenizer. */
export async function writeTinyModel(
  directory: string,
  config: Readonly<Record<string, unknown>>,
): Promise<void> {
  const spec = parseModelSpec(config, 'config.json');
  const shapes = modelTensors(spec);
  let state = 1;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 32 - 0.5) * 0.2;
  };
  const tensors = [...shapes].map(
    ([name, shape]) =>
      [
        name,
        float32Tensor(shape, Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, random)),
      ] as const,
  );
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'config.json'), JSON.stringify(config));
  await writeFile(join(directory, 'model.safetensors'), encodeSafetensors(tensors));
}
