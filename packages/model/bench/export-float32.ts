/**
 * Writes a Llama or Qwen2 checkpoint as a directory of float32 tensors that transformers reads: config.json, model.safetensors, and a GGUF
 * file's tokenizer.
 * Usage: export-float32.ts MODEL DIRECTORY
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { writeSafetensors } from '@contextlora/lora/files';
import { float32Tensor } from '@contextlora/lora/safetensors';
import { linearsOf, openCheckpoint, openFileBytes } from '@contextlora/model';

import { readGgufHeader } from '../src/gguf/header.js';
import { ggufTokenizer } from '../src/gguf/tokenizer.js';

const [model, directory] = process.argv.slice(2);
if (model === undefined || directory === undefined)
  throw new Error('usage: export-float32.ts MODEL DIRECTORY');
const { spec, weights, tokenizer, format } = await openCheckpoint(model);
const { padId, endId } = await tokenizer();
const { text } = spec;
const norms = Array.from({ length: text.layerCount }, (_, depth) => [
  `model.layers.${depth}.input_layernorm.weight`,
  `model.layers.${depth}.post_attention_layernorm.weight`,
]);
const names = [
  'model.embed_tokens.weight',
  'model.norm.weight',
  ...(text.tiedHead ? [] : ['lm_head.weight']),
  ...linearsOf(spec).flatMap(({ name }) =>
    [`${name}.weight`, `${name}.bias`].filter((tensor) => weights.shapeOf(tensor)),
  ),
  ...norms.flat(),
];
const tensors = [];
for (const name of names)
  tensors.push([name, float32Tensor([...(weights.shapeOf(name) ?? [])], await weights.read(name))] as const);
await weights.close();
await writeSafetensors(join(directory, 'model.safetensors'), tensors, { format: 'pt' });
await writeFile(
  join(directory, 'config.json'),
  JSON.stringify({
    architectures: [spec.architecture === 'qwen2' ? 'Qwen2ForCausalLM' : 'LlamaForCausalLM'],
    model_type: spec.architecture === 'qwen2' ? 'qwen2' : 'llama',
    vocab_size: text.vocabularySize,
    hidden_size: text.hiddenSize,
    intermediate_size: text.mlpSize,
    num_hidden_layers: text.layerCount,
    num_attention_heads: text.heads,
    num_key_value_heads: text.kvHeads,
    head_dim: text.headDim,
    rms_norm_eps: text.rmsEpsilon,
    rope_theta: text.ropeTheta,
    max_position_embeddings: text.maximumPositions,
    tie_word_embeddings: text.tiedHead,
    hidden_act: 'silu',
    pad_token_id: padId,
    eos_token_id: endId,
    torch_dtype: 'float32',
  }),
);
if (format === 'gguf') {
  const source = await openFileBytes(model);
  const files = ggufTokenizer(await readGgufHeader(source), model);
  await source.close();
  const { addsBegin } = await tokenizer();
  if (addsBegin) throw new Error('a GGUF tokenizer that adds a begin token is not exported');
  // The tokenizers library wants more fields of a post-processor than this project reads.
  await writeFile(join(directory, 'tokenizer.json'), JSON.stringify({ ...files.json, post_processor: null }));
}
