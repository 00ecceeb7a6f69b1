/** Model directories with random weights, made of a config alone. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { encodeSafetensors, float32Tensor } from '@contextlora/lora';
import { linearsOf, parseModelSpec } from '@contextlora/model';

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

/** Configs of four architectures that differ in what is counted: biases, tied heads, head sizes, a vision tower. */
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

/** Writes config and weights into the directory; the tokenizer has to come from elsewhere. */
export async function writeTinyModel(
  directory: string,
  config: Readonly<Record<string, unknown>>,
): Promise<void> {
  const spec = parseModelSpec(config, 'config.json');
  const { hiddenSize, vocabularySize, layerCount, prefix, attentionBias, tiedHead } = spec.text;
  const shapes = new Map<string, readonly number[]>([
    [`${prefix}embed_tokens.weight`, [vocabularySize, hiddenSize]],
    [`${prefix}norm.weight`, [hiddenSize]],
    ...(tiedHead ? [] : ([['lm_head.weight', [vocabularySize, hiddenSize]]] as const)),
  ]);
  for (const { name, outFeatures, inFeatures } of linearsOf(spec)) {
    shapes.set(`${name}.weight`, [outFeatures, inFeatures]);
    if (attentionBias && /[qkv]_proj$/.test(name)) shapes.set(`${name}.bias`, [outFeatures]);
  }
  for (let depth = 0; depth < layerCount; depth++)
    for (const norm of ['input_layernorm', 'post_attention_layernorm'])
      shapes.set(`${prefix}layers.${depth}.${norm}.weight`, [hiddenSize]);
  if (spec.vision) {
    const { hiddenSize: d, mlpSize: m, layerCount: count, imageSizePixels, patchSizePixels: p } = spec.vision;
    const base = 'model.vision_model.';
    const both = (name: string, out: number, inp: number) => {
      shapes.set(`${base}${name}.weight`, [out, inp]);
      shapes.set(`${base}${name}.bias`, [out]);
    };
    const norm = (name: string) => {
      shapes.set(`${base}${name}.weight`, [d]);
      shapes.set(`${base}${name}.bias`, [d]);
    };
    for (let depth = 0; depth < count; depth++) {
      for (const name of ['q_proj', 'k_proj', 'v_proj', 'out_proj'])
        both(`encoder.layers.${depth}.self_attn.${name}`, d, d);
      both(`encoder.layers.${depth}.mlp.fc1`, m, d);
      both(`encoder.layers.${depth}.mlp.fc2`, d, m);
      norm(`encoder.layers.${depth}.layer_norm1`);
      norm(`encoder.layers.${depth}.layer_norm2`);
    }
    norm('post_layernorm');
    shapes.set(`${base}embeddings.patch_embedding.weight`, [d, 3, p, p]);
    shapes.set(`${base}embeddings.patch_embedding.bias`, [d]);
    shapes.set(`${base}embeddings.position_embedding.weight`, [(imageSizePixels / p) ** 2, d]);
  }
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
