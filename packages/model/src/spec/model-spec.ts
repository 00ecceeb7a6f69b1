/**
 * A model's dimensions and settings as plain JSON, read from a Hugging Face `config.json` with old or new keys.
 */
import type { LinearShape } from '@contextlora/lora';

import { ModelError } from '../model-error.js';
import { type AudioSpec, parseAudioSpec } from './audio-spec.js';
import { type Config, partOf, readConfigNumbers, textOf } from './config-reader.js';
import { parseTextSpec, textFamilies, type TextSpec } from './text-spec.js';
import { parseClipSpec, parseSiglipSpec, type VisionSpec } from './vision-spec.js';

export interface ModelSpec {
  readonly architecture: string;
  readonly text: TextSpec;
  readonly vision?: VisionSpec;
  readonly audio?: AudioSpec;
  /** The full weights that an adapter replaced (`withReplacedWeights`), by name. */
  readonly replaced?: readonly string[];
}

const visionArchitectures = ['smolvlm', 'idefics3', 'llava'];
const audioArchitectures = ['qwen2_audio', 'voxtral'] as const;

/**
 * Reads a config; `where` names it in messages.
 *
 * @throws ModelError for an unsupported architecture (listing the supported ones) or missing numbers (all at once).
 */
export function parseModelSpec(value: unknown, where: string): ModelSpec {
  const config = partOf({ value }, 'value');
  if (!config) throw new ModelError('MODEL_FILE_DAMAGED', 'parseModelSpec', `${where} is not a JSON object`);
  const type = textOf(config['model_type']);
  if (visionArchitectures.includes(type)) return visionLanguageSpec(config, type, where);
  const tower = audioArchitectures.find((known) => known === type);
  if (tower) return audioLanguageSpec(config, tower, where);
  const family = familyOf(type);
  if (!family)
    throw new ModelError(
      'MODEL_UNSUPPORTED',
      'parseModelSpec',
      `${where}: architecture "${type}" is not supported; supported are ${[...Object.keys(textFamilies), ...visionArchitectures, ...audioArchitectures].join(', ')}`,
    );
  return {
    architecture: type,
    text: parseTextSpec(config, { where, family, prefix: 'model.' }),
  };
}

function visionLanguageSpec(config: Config, type: string, where: string): ModelSpec {
  const [text, vision] = [partOf(config, 'text_config'), partOf(config, 'vision_config')];
  if (!text || !vision)
    throw new ModelError(
      'MODEL_FILE_DAMAGED',
      'parseModelSpec',
      `${where}: a ${type} config needs "text_config" and "vision_config"`,
    );
  const family = familyOfPart(text, 'llama', where);
  const whole = readConfigNumbers(config, where);
  for (const part of ['text_config', 'vision_config']) whole.value(part);
  const tied = whole.flag('tie_word_embeddings');
  const textSpec = parseTextSpec(text, {
    where: `${where}: text_config`,
    family,
    prefix: type === 'llava' ? 'model.language_model.' : 'model.text_model.',
    // LLaVA takes the text model's setting too; the others have their own only.
    tied: (own) => tied || (own && type === 'llava'),
    composite: true,
  });
  const visionSpec =
    type === 'llava'
      ? parseClipSpec(whole, vision, { where, hiddenSize: textSpec.hiddenSize })
      : parseSiglipSpec(whole, vision, where);
  return { architecture: type, text: textSpec, vision: visionSpec };
}

/** What transformers puts in place of settings that a Voxtral's text model does not have. */
const voxtralText: Config = {
  vocab_size: 131_072,
  hidden_size: 3072,
  intermediate_size: 8192,
  num_hidden_layers: 30,
  num_key_value_heads: 8,
  max_position_embeddings: 131_072,
  rms_norm_eps: 1e-5,
  head_dim: 128,
};

function audioLanguageSpec(config: Config, type: AudioSpec['tower'], where: string): ModelSpec {
  const [text, audio] = [partOf(config, 'text_config') ?? {}, partOf(config, 'audio_config') ?? {}];
  const family = familyOfPart(text, type === 'voxtral' ? 'llama' : 'qwen2', where);
  const whole = readConfigNumbers(config, where);
  for (const part of ['text_config', 'audio_config']) whole.value(part);
  const tied = whole.flag('tie_word_embeddings');
  const rotary = ['rope_theta', 'rope_parameters'].some((key) => Object.hasOwn(text, key));
  const defaults = type === 'voxtral' ? { ...voxtralText, ...(rotary ? {} : { rope_theta: 1e8 }) } : {};
  const textSpec = parseTextSpec(
    { ...defaults, ...text },
    {
      where: `${where}: text_config`,
      family,
      prefix: 'model.language_model.',
      tied: (own) => tied || own,
      composite: true,
    },
  );
  const { hiddenSize } = textSpec;
  return {
    architecture: type,
    text: textSpec,
    audio: parseAudioSpec(whole, audio, { where, tower: type, hiddenSize }),
  };
}

function familyOfPart(text: Config, fallback: string, where: string) {
  const type = textOf(text['model_type'] ?? fallback);
  const family = familyOf(type);
  if (family) return family;
  throw new ModelError(
    'MODEL_UNSUPPORTED',
    'parseModelSpec',
    `${where}: text_config: architecture "${type}" is not supported; supported are ${Object.keys(textFamilies).join(', ')}`,
  );
}

const familyOf = (type: string) => (Object.hasOwn(textFamilies, type) ? textFamilies[type] : undefined);

/** The linears that can be adapted, by PEFT's run-time module names: the connector first, then decoder layer by decoder layer. */
export function linearsOf({ text, vision }: ModelSpec): LinearShape[] {
  const { hiddenSize, mlpSize, heads, kvHeads, headDim, layerCount, prefix } = text;
  const shapes = {
    'self_attn.q_proj': [hiddenSize, heads * headDim],
    'self_attn.k_proj': [hiddenSize, kvHeads * headDim],
    'self_attn.v_proj': [hiddenSize, kvHeads * headDim],
    'self_attn.o_proj': [heads * headDim, hiddenSize],
    'mlp.gate_proj': [hiddenSize, mlpSize],
    'mlp.up_proj': [hiddenSize, mlpSize],
    'mlp.down_proj': [mlpSize, hiddenSize],
  } as const;
  const connector: LinearShape[] = vision
    ? [{ name: vision.connector.name, inFeatures: vision.connector.inFeatures, outFeatures: hiddenSize }]
    : [];
  const layers = Array.from({ length: layerCount }, (_, layerIndex) =>
    Object.entries(shapes).map(([name, [inFeatures, outFeatures]]) => ({
      name: `${prefix}layers.${layerIndex}.${name}`,
      inFeatures,
      outFeatures,
      layerIndex,
    })),
  );
  return [...connector, ...layers.flat()];
}

/** Whether a linear has a bias, by its name within its decoder layer. */
export function hasBias({ attentionBias, outputBias, mlpBias }: TextSpec, name: string): boolean {
  if (/[qkv]_proj$/.test(name)) return attentionBias;
  return name.endsWith('o_proj') ? outputBias === true : mlpBias === true;
}
