/** The language model's part of a config. */
import { type Config, partOf, readConfigNumbers, textOf } from './config-reader.js';
import { parseRotaryScaling, type RotaryScaling } from './rotary-scaling.js';

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
  readonly ropeScaling?: RotaryScaling;
  /** The usable positions: at most the sliding window, within which a window has no effect, and the range of the rotary scaling. */
  readonly maximumPositions: number;
  /** Biases on q, k and v (Qwen2). */
  readonly attentionBias: boolean;
  /** A bias on the attention's output (Llama with `attention_bias`). */
  readonly outputBias?: boolean;
  /** Biases on gate, up and down (Llama with `mlp_bias`). */
  readonly mlpBias?: boolean;
  /** An RMS norm over each head of q and k (Qwen3). */
  readonly headNorms?: boolean;
  /** The output matrix is the embedding. */
  readonly tiedHead: boolean;
  /** Prefix of the text model's tensors: `model.`, `model.text_model.` or `model.language_model.`. */
  readonly prefix: string;
}

interface TextFamily {
  readonly biases: 'never' | 'qkv' | 'by config';
  readonly headNorms: boolean;
  /** Whether a window applies without `use_sliding_window`, and its width if the config does not give one. */
  readonly window: { readonly always: boolean; readonly fallback: number | undefined };
  /** Defaults for absent numbers, as transformers fills them in within composite configs. */
  readonly fallbacks: Readonly<Record<string, number>>;
}

const sizes = {
  hidden_size: 4096,
  num_hidden_layers: 32,
  num_attention_heads: 32,
};
const none = { always: false, fallback: undefined };
export const textFamilies: Readonly<Record<string, TextFamily>> = {
  llama: {
    biases: 'by config',
    headNorms: false,
    window: none,
    fallbacks: { ...sizes, vocab_size: 32_000, intermediate_size: 11_008, max_position_embeddings: 2048 },
  },
  mistral: {
    biases: 'never',
    headNorms: false,
    window: { always: true, fallback: 4096 },
    fallbacks: {
      ...sizes,
      vocab_size: 32_000,
      intermediate_size: 14_336,
      num_key_value_heads: 8,
      max_position_embeddings: 131_072,
    },
  },
  qwen2: {
    biases: 'qkv',
    headNorms: false,
    window: { always: false, fallback: 4096 },
    fallbacks: { ...sizes, vocab_size: 151_936, intermediate_size: 22_016, max_position_embeddings: 32_768 },
  },
  qwen3: {
    biases: 'by config',
    headNorms: true,
    window: { always: false, fallback: 4096 },
    fallbacks: {
      ...sizes,
      vocab_size: 151_936,
      intermediate_size: 22_016,
      head_dim: 128,
      max_position_embeddings: 32_768,
    },
  },
};

/**
 * Reads a text model's config. In a part of a larger config (`composite`) absent sizes default to the family's; a config of its own must
 * have them.
 *
 * @throws ModelError listing everything that is missing or not supported.
 */
export function parseTextSpec(
  config: Config,
  {
    where,
    family,
    prefix,
    tied,
    composite = false,
  }: { where: string; family: TextFamily; prefix: string; tied: unknown; composite?: boolean },
): TextSpec {
  const read = readConfigNumbers(config, where);
  const fallbackOf = (key: string) => {
    const fallback = family.fallbacks[key];
    return fallback === undefined ? {} : { fallback };
  };
  const need = (key: string, most?: number) =>
    read.count(key, { ...(composite ? fallbackOf(key) : {}), ...(most === undefined ? {} : { most }) });
  const [hiddenSize, heads] = [need('hidden_size', 2 ** 20), need('num_attention_heads', 2 ** 12)];
  const positions = read.count('max_position_embeddings', {
    fallback: family.fallbacks['max_position_embeddings'] ?? 2048,
  });
  const original = config['original_max_position_embeddings'];
  const rope = {
    ...partOf(config, 'rope_scaling'),
    ...partOf(config, 'rope_parameters'),
    // Phi-3 and others have it at the top level, which takes precedence.
    ...(original === undefined ? {} : { original_max_position_embeddings: original }),
  };
  const readRope = readConfigNumbers(rope, `${where}: rope parameters`);
  const ropeTheta = Object.hasOwn(rope, 'rope_theta')
    ? readRope.positive('rope_theta')
    : read.positive('rope_theta', { fallback: 10_000 });
  const activation = config['hidden_act'] ?? config['hidden_activation'] ?? 'silu';
  if (activation !== 'silu') read.refuse(`activation "${textOf(activation)}" is not supported; only silu is`);
  const share = hiddenSize / heads;
  const headDim = read.count('head_dim', {
    fallback: (composite ? family.fallbacks['head_dim'] : undefined) ?? Math.max(2, Math.ceil(share)),
    most: 2 ** 12,
  });
  const scaling = parseRotaryScaling(rope, { read: readRope, maximumPositions: positions, headDim });
  if (config['head_dim'] === undefined && hiddenSize > 1 && !Number.isInteger(share))
    read.refuse(`${hiddenSize} features do not divide into ${heads} heads, and there is no "head_dim"`);
  const kvHeads = read.count('num_key_value_heads', {
    fallback: (composite ? family.fallbacks['num_key_value_heads'] : undefined) ?? heads,
    most: 2 ** 12,
  });
  if (headDim % 2 !== 0) read.refuse(`"head_dim" is ${headDim}, and must be even`);
  if (heads % kvHeads !== 0)
    read.refuse(`${heads} attention heads do not divide into ${kvHeads} key and value heads`);
  const hasBias = family.biases === 'by config' && config['attention_bias'] === true;
  const spec: TextSpec = {
    vocabularySize: need('vocab_size', 2 ** 24),
    hiddenSize,
    mlpSize: need('intermediate_size', 2 ** 22),
    layerCount: need('num_hidden_layers', 2 ** 10),
    heads,
    kvHeads,
    headDim,
    rmsEpsilon: read.positive('rms_norm_eps', { fallback: 1e-6 }),
    ropeTheta,
    ...(scaling ? { ropeScaling: scaling } : {}),
    maximumPositions: Math.min(
      positions,
      windowOf(config, family) ?? positions,
      scaling?.type === 'longrope' ? scaling.originalPositions : positions,
    ),
    attentionBias: family.biases === 'qkv' || hasBias,
    ...(hasBias ? { outputBias: true } : {}),
    ...(family.biases === 'by config' && config['mlp_bias'] === true ? { mlpBias: true } : {}),
    ...(family.headNorms ? { headNorms: true } : {}),
    tiedHead: tied === true,
    prefix,
  };
  read.done();
  readRope.done();
  return spec;
}

/** The width of the sliding window, if any layer has one. */
function windowOf(config: Config, { window }: TextFamily): number | undefined {
  const width = config['sliding_window'] === undefined ? window.fallback : config['sliding_window'];
  if (typeof width !== 'number' || !(width > 0)) return undefined;
  const layers = config['layer_types'];
  if (Array.isArray(layers)) return layers.includes('sliding_attention') ? width : undefined;
  return window.always || config['use_sliding_window'] === true ? width : undefined;
}
