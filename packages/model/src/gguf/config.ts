/** Converts a GGUF file's metadata to the spec that the same model has in the Hugging Face layout. */
import { ModelError } from '../model-error.js';
import { type ModelSpec, parseModelSpec } from '../spec/model-spec.js';
import type { GgufHeader } from './header.js';
import { type ArchitectureSettings, describe, openSettings } from './metadata.js';
import { ggufRotaryScaling } from './rotary.js';

const architectures: Readonly<Record<string, string>> = { llama: 'llama', qwen2: 'qwen2', qwen3: 'qwen3' };

/**
 * The spec of the model in a file; `divisors` are the numbers of its `rope_freqs.weight`.
 *
 * @throws ModelError for an unsupported architecture, and for every setting that asks for something that is not supported.
 */
export function ggufSpec(
  { metadata, tensors }: GgufHeader,
  { path, divisors }: { path: string; divisors: readonly number[] | undefined },
): ModelSpec {
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
  requireWholeModel(metadata, path);
  const settings = openSettings({ metadata }, { architecture: type, path });
  const { number, value, refuse } = settings;
  const required = ['embedding_length', 'block_count', 'feed_forward_length', 'attention.head_count', 'context_length']; // prettier-ignore
  const missing = required.filter((key) => !(Number(number(key)) > 0));
  const epsilon = number('attention.layer_norm_rms_epsilon');
  if (epsilon === undefined || epsilon < 0) missing.push('attention.layer_norm_rms_epsilon');
  if (missing.length > 0)
    throw new ModelError(
      'MODEL_FILE_DAMAGED',
      'ggufConfig',
      `${path}: needs positive numbers, but ${missing.map((key) => `"${type}.${key}" is ${describe(value(key))}`).join(', ')}`,
    );
  if ((number('expert_count') ?? 0) > 0) refuse('a mixture of experts is not supported');
  const headDim = headDimOf(settings);
  if (divisors && divisors.length !== headDim / 2)
    refuse(`tensor "rope_freqs.weight" has ${divisors.length} numbers, and a head ${headDim / 2} pairs`);
  const positions = Number(number('context_length'));
  const ropeScaling = ggufRotaryScaling(settings, { divisors, positions });
  const window = number('attention.sliding_window');
  const config = {
    model_type: type,
    vocab_size: tensors.get('token_embd.weight')?.shape[0] ?? number('vocab_size'),
    hidden_size: number('embedding_length'),
    intermediate_size: number('feed_forward_length'),
    num_hidden_layers: number('block_count'),
    num_attention_heads: number('attention.head_count'),
    num_key_value_heads: number('attention.head_count_kv') ?? number('attention.head_count'),
    head_dim: headDim,
    rms_norm_eps: epsilon,
    max_position_embeddings: positions,
    rope_theta: number('rope.freq_base') ?? 10_000,
    tie_word_embeddings: !tensors.has('output.weight'),
    ...(window === undefined || window === 0 ? {} : { sliding_window: window, layer_types: sliding(number) }),
  };
  settings.done();
  const spec = parseModelSpec(config, path);
  return {
    ...spec,
    text: { ...spec.text, ...biasesOf(tensors, type), ...(ropeScaling ? { ropeScaling } : {}) },
  };
}

const sliding = (number: ArchitectureSettings['number']) =>
  new Array<string>(Math.min(2 ** 10, Number(number('block_count')))).fill('sliding_attention');

/** @throws ModelError for a file of another kind, or a part of a model. */
function requireWholeModel(metadata: GgufHeader['metadata'], path: string): void {
  const refuse = (what: string) => {
    throw new ModelError('MODEL_UNSUPPORTED', 'ggufConfig', `${path}: ${what}`);
  };
  const kind = metadata.get('general.type') ?? 'model';
  if (kind !== 'model') refuse(`the file is of type ${describe(kind)}, and not a model`);
  const parts = Number(metadata.get('split.count') ?? 1);
  if (parts > 1)
    refuse(`the file is one of ${parts} parts of a model; "llama-gguf-split --merge" makes one file of them`);
}

function headDimOf({ number, value, refuse }: ArchitectureSettings): number {
  const heads = Number(number('attention.head_count'));
  const headDim = number('attention.key_length') ?? Number(number('embedding_length')) / heads;
  const rotary = number('rope.dimension_count') ?? headDim;
  if (rotary !== headDim)
    refuse(
      `"rope.dimension_count" is ${rotary} of ${headDim}; only whole heads turned by rotary embeddings are supported`,
    );
  const values = number('attention.value_length') ?? headDim;
  if (values !== headDim)
    refuse(`"attention.value_length" is ${values}, and keys have ${headDim}; both must be equal`);
  const scale = number('attention.scale') ?? 0;
  if (scale !== 0 && Math.abs(scale * Math.sqrt(headDim) - 1) > 1e-6)
    refuse(`"attention.scale" is ${describe(value('attention.scale'))}; only 1 / √${headDim} is supported`);
  return headDim;
}

/** llama.cpp adds the biases that a file has; those that its architecture cannot have are refused with the tensors. */
function biasesOf(tensors: GgufHeader['tensors'], type: string) {
  const has = (name: string) =>
    [...tensors.keys()].some((key) => key.startsWith('blk.') && key.endsWith(name));
  return {
    attentionBias: ['attn_q.bias', 'attn_k.bias', 'attn_v.bias'].some(has),
    ...(type === 'llama' && has('attn_output.bias') ? { outputBias: true } : {}),
    ...(type === 'llama' && ['ffn_gate.bias', 'ffn_up.bias', 'ffn_down.bias'].some(has)
      ? { mlpBias: true }
      : {}),
  };
}
