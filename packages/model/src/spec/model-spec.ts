/**
 * What a model is, as plain JSON: read from a Hugging Face `config.json` in the old or the new style of keys.
 */
import type { LinearShape } from '@contextlora/lora';

import { type Config, partOf, textOf } from './config-reader.js';
import { ModelError } from '../model-error.js';
import { parseTextSpec, textFamilies, type TextSpec } from './text-spec.js';
import { parseClipSpec, parseSiglipSpec, type VisionSpec } from './vision-spec.js';

export interface ModelSpec {
  readonly architecture: string;
  readonly text: TextSpec;
  readonly vision?: VisionSpec;
}

const visionArchitectures = ['smolvlm', 'idefics3', 'llava'];

/**
 * Reads a config; `where` names it in messages.
 *
 * @throws ModelError for an unsupported architecture (with the list of supported ones) or missing numbers (all at once).
 */
export function parseModelSpec(value: unknown, where: string): ModelSpec {
  const config = partOf({ value }, 'value');
  if (!config) throw new ModelError('parseModelSpec', `${where} is not a JSON object`);
  const type = textOf(config['model_type']);
  if (visionArchitectures.includes(type)) return visionLanguageSpec(config, type, where);
  if (!Object.hasOwn(textFamilies, type))
    throw new ModelError(
      'parseModelSpec',
      `${where}: architecture "${type}" is not supported; supported are ${[...Object.keys(textFamilies), ...visionArchitectures].join(', ')}`,
    );
  return {
    architecture: type,
    text: parseTextSpec(config, { where, type, prefix: 'model.', tied: config['tie_word_embeddings'] }),
  };
}

function visionLanguageSpec(config: Config, type: string, where: string): ModelSpec {
  const [text, vision] = [partOf(config, 'text_config'), partOf(config, 'vision_config')];
  if (!text || !vision)
    throw new ModelError(
      'parseModelSpec',
      `${where}: a ${type} config needs "text_config" and "vision_config"`,
    );
  const family = textOf(text['model_type'] ?? 'llama');
  if (!Object.hasOwn(textFamilies, family))
    throw new ModelError(
      'parseModelSpec',
      `${where}: text_config: architecture "${family}" is not supported; supported are ${Object.keys(textFamilies).join(', ')}`,
    );
  const textSpec = parseTextSpec(text, {
    where: `${where}: text_config`,
    type: family,
    prefix: type === 'llava' ? 'model.language_model.' : 'model.text_model.',
    tied: config['tie_word_embeddings'] ?? text['tie_word_embeddings'],
    composite: true,
  });
  return {
    architecture: type,
    text: textSpec,
    vision:
      type === 'llava'
        ? parseClipSpec(config, vision, { where, hiddenSize: textSpec.hiddenSize })
        : parseSiglipSpec(config, vision, where),
  };
}

/** The linear layers that can be adapted, under PEFT's run-time module names: the connector first, then layer by layer. */
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
  const layers = Array.from({ length: layerCount }, (_, depth) =>
    Object.entries(shapes).map(([name, [inFeatures, outFeatures]]) => ({
      name: `${prefix}layers.${depth}.${name}`,
      inFeatures,
      outFeatures,
      depth,
    })),
  );
  return [...connector, ...layers.flat()];
}

/** Whether a linear layer of the decoder, by its name within the layer, has a bias. */
export function hasBias({ attentionBias, outputBias, mlpBias }: TextSpec, name: string): boolean {
  if (/[qkv]_proj$/.test(name)) return attentionBias;
  return name.endsWith('o_proj') ? outputBias === true : mlpBias === true;
}
