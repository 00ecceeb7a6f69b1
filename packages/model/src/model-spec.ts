/**
 * What a model is, as plain JSON: read from a Hugging Face `config.json` in the old or the new style of keys.
 */
import type { LinearShape } from '@contextlora/lora';

import { ModelError } from './model-error.js';

export interface TextSpec {
  readonly vocabularySize: number;
  readonly hiddenSize: number;
  readonly mlpSize: number;
  readonly layerCount: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly rmsEpsilon: number;
  readonly ropeTheta: number;
  readonly maximumPositions: number;
  /** Biases on q, k and v (Qwen2). */
  readonly attentionBias: boolean;
  /** The output matrix is the embedding. */
  readonly tiedHead: boolean;
  /** Prefix of the text model's tensors: `model.` or `model.text_model.`. */
  readonly prefix: string;
}

/** A SigLIP-style tower as in SmolVLM / Idefics3. */
export interface VisionSpec {
  readonly imageSizePixels: number;
  readonly patchSizePixels: number;
  readonly hiddenSize: number;
  readonly mlpSize: number;
  readonly layerCount: number;
  readonly heads: number;
  readonly layerEpsilon: number;
  readonly gelu: 'tanh' | 'erf';
  /** Pixel shuffle: this many patches a side become one image token. */
  readonly scaleFactor: number;
  readonly imageTokenId: number;
  /** Image tokens per image. */
  readonly tokenCount: number;
}

export interface ModelSpec {
  readonly architecture: string;
  readonly text: TextSpec;
  readonly vision?: VisionSpec;
}

const textArchitectures: Readonly<Record<string, { attentionBias: boolean }>> = {
  llama: { attentionBias: false },
  mistral: { attentionBias: false },
  qwen2: { attentionBias: true },
};
const visionArchitectures = ['smolvlm', 'idefics3'];

type Config = Readonly<Record<string, unknown>>;

/**
 * Reads a config; `where` names it in messages.
 *
 * @throws ModelError for an unsupported architecture (with the list of supported ones) or missing numbers (all at once).
 */
export function parseModelSpec(config: Config, where: string): ModelSpec {
  const type = textOf(config['model_type']);
  if (visionArchitectures.includes(type)) return visionLanguageSpec(config, type, where);
  if (!(type in textArchitectures))
    throw new ModelError(
      'parseModelSpec',
      `${where}: architecture "${type}" is not supported; supported are ${[...Object.keys(textArchitectures), ...visionArchitectures].join(', ')}`,
    );
  return {
    architecture: type,
    text: textSpec(config, { where, type, prefix: 'model.', tied: config['tie_word_embeddings'] }),
  };
}

function textSpec(
  config: Config,
  { where, type, prefix, tied }: { where: string; type: string; prefix: string; tied: unknown },
): TextSpec {
  const need = reader(config, where);
  const [hiddenSize, heads] = [need('hidden_size'), need('num_attention_heads')];
  const rope = (config['rope_parameters'] ?? config['rope_scaling']) as Config | null | undefined;
  const ropeType = textOf(rope?.['rope_type'] ?? rope?.['type'] ?? 'default');
  if (ropeType !== 'default')
    throw new ModelError(
      'parseModelSpec',
      `${where}: rope scaling "${ropeType}" is not supported yet; only the default is`,
    );
  if (config['hidden_act'] !== undefined && config['hidden_act'] !== 'silu')
    throw new ModelError(
      'parseModelSpec',
      `${where}: activation "${textOf(config['hidden_act'])}" is not supported; only silu is`,
    );
  const spec: TextSpec = {
    vocabularySize: need('vocab_size'),
    hiddenSize,
    mlpSize: need('intermediate_size'),
    layerCount: need('num_hidden_layers'),
    heads,
    kvHeads: numberOr(config['num_key_value_heads'], heads),
    headDim: numberOr(config['head_dim'], hiddenSize / heads),
    rmsEpsilon: numberOr(config['rms_norm_eps'], 1e-6),
    ropeTheta: numberOr(rope?.['rope_theta'] ?? config['rope_theta'], 10_000),
    maximumPositions: numberOr(config['max_position_embeddings'], 2048),
    attentionBias: textArchitectures[type]?.attentionBias ?? config['attention_bias'] === true,
    tiedHead: tied === true,
    prefix,
  };
  need.done();
  return spec;
}

function visionLanguageSpec(config: Config, type: string, where: string): ModelSpec {
  const text = config['text_config'] as Config | undefined;
  const vision = config['vision_config'] as Config | undefined;
  if (!text || !vision)
    throw new ModelError(
      'parseModelSpec',
      `${where}: a ${type} config needs "text_config" and "vision_config"`,
    );
  const need = reader(vision, `${where}: vision_config`);
  const [imageSizePixels, patchSizePixels] = [need('image_size'), need('patch_size')];
  const scaleFactor = numberOr(config['scale_factor'], 2);
  const side = imageSizePixels / patchSizePixels / scaleFactor;
  const spec: VisionSpec = {
    imageSizePixels,
    patchSizePixels,
    hiddenSize: need('hidden_size'),
    mlpSize: need('intermediate_size'),
    layerCount: need('num_hidden_layers'),
    heads: need('num_attention_heads'),
    layerEpsilon: numberOr(vision['layer_norm_eps'], 1e-6),
    gelu: vision['hidden_act'] === 'gelu' ? 'erf' : 'tanh',
    scaleFactor,
    imageTokenId: reader(config, where)('image_token_id'),
    tokenCount: side * side,
  };
  need.done();
  if (!Number.isInteger(side))
    throw new ModelError(
      'parseModelSpec',
      `${where}: ${imageSizePixels} pixels do not divide into patches of ${patchSizePixels} and blocks of ${scaleFactor}`,
    );
  return {
    architecture: type,
    text: textSpec(text, {
      where: `${where}: text_config`,
      type: 'llama',
      prefix: 'model.text_model.',
      tied: config['tie_word_embeddings'] ?? text['tie_word_embeddings'],
    }),
    vision: spec,
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
    ? [
        {
          name: connectorName,
          inFeatures: vision.hiddenSize * vision.scaleFactor ** 2,
          outFeatures: hiddenSize,
        },
      ]
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

export const connectorName = 'model.connector.modality_projection.proj';

/** A value for a message or a comparison: text as it is, anything else as JSON. */
const textOf = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value ?? null));

function numberOr(value: unknown, fallback: number): number {
  return typeof value === 'number' ? value : fallback;
}

/** Reads positive integers and remembers which were missing. */
function reader(config: Config, where: string) {
  const missing: string[] = [];
  const need = (key: string): number => {
    const value = config[key];
    if (typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 2 ** 31) return value;
    missing.push(`"${key}" is ${JSON.stringify(value)}`);
    return 1;
  };
  return Object.assign(need, {
    done() {
      if (missing.length > 0)
        throw new ModelError(
          'parseModelSpec',
          `${where}: needs positive integers, but ${missing.join(', ')}`,
        );
    },
  });
}
