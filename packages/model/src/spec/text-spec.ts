/** The language model's part of a config. */
import { type Config, type ConfigReader, readConfigNumbers, textOf } from './config-reader.js';
import { parseRotaryScaling, rotaryConfig, type RotaryScaling } from './rotary-scaling.js';
import { readWindow, type WindowRule } from './sliding-window.js';

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
  /** The sliding window, if some layer has one. */
  readonly slidingWindow?: number;
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
  /** Whether `mlp_bias` gives the MLP biases. */
  readonly mlpBiases: boolean;
  readonly headNorms: boolean;
  readonly window: WindowRule;
  /** Defaults for absent numbers; sizes have theirs within composite configs only, because a config of its own must give them. */
  readonly fallbacks: Readonly<Record<string, number>>;
}

const sizes = {
  hidden_size: 4096,
  num_hidden_layers: 32,
  num_attention_heads: 32,
};
const byLayer: WindowRule = { layers: 'by layer', width: 4096 };
export const textFamilies: Readonly<Record<string, TextFamily>> = {
  llama: {
    biases: 'by config',
    mlpBiases: true,
    headNorms: false,
    window: { layers: 'none', width: null },
    fallbacks: { ...sizes, vocab_size: 32_000, intermediate_size: 11_008, max_position_embeddings: 2048 },
  },
  mistral: {
    biases: 'never',
    mlpBiases: false,
    headNorms: false,
    window: { layers: 'all', width: 4096 },
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
    mlpBiases: false,
    headNorms: false,
    window: byLayer,
    fallbacks: {
      ...sizes,
      vocab_size: 151_936,
      intermediate_size: 22_016,
      num_key_value_heads: 32,
      max_position_embeddings: 32_768,
    },
  },
  qwen3: {
    biases: 'by config',
    mlpBiases: false,
    headNorms: true,
    window: byLayer,
    fallbacks: {
      ...sizes,
      vocab_size: 151_936,
      intermediate_size: 22_016,
      num_key_value_heads: 32,
      head_dim: 128,
      max_position_embeddings: 32_768,
    },
  },
};

/** Keys of text models that transformers does not read: how an older class built an image path around them. */
const harmless = ['perceiver_config', 'pixel_shuffle_factor'];

/**
 * Reads a text model's config. In a part of a larger config (`composite`) absent sizes default to the family's; a config of its own must
 * have them. `tied` decides from the part's own `tie_word_embeddings`.
 *
 * @throws ModelError listing everything that is missing or not supported.
 */
export function parseTextSpec(
  config: Config,
  {
    where,
    family,
    prefix,
    tied = (own) => own,
    composite = false,
  }: {
    where: string;
    family: TextFamily;
    prefix: string;
    tied?: (own: boolean) => boolean;
    composite?: boolean;
  },
): TextSpec {
  const read = readConfigNumbers(config, where);
  const fallbackOf = (key: string) => {
    const fallback = family.fallbacks[key];
    return fallback === undefined ? {} : { fallback };
  };
  const need = (key: string, most?: number) =>
    read.count(key, { ...(composite ? fallbackOf(key) : {}), ...(most === undefined ? {} : { most }) });
  const [hiddenSize, heads] = [need('hidden_size', 2 ** 20), need('num_attention_heads', 2 ** 12)];
  const layerCount = need('num_hidden_layers', 2 ** 10);
  const positions = read.count('max_position_embeddings', {
    fallback: family.fallbacks['max_position_embeddings'] ?? 2048,
  });
  requireSilu(read);
  const headDim = headDimOf(read, { family, hiddenSize, heads });
  const rope = readConfigNumbers(rotaryConfig(read), `${where}: rope parameters`);
  const ropeTheta = rope.positive('rope_theta', { fallback: 10_000 });
  const scaling = parseRotaryScaling(rope, { maximumPositions: positions, headDim });
  // An absent number of key and value heads is the family's; null stands for as many as there are heads.
  const kvHeads = read.count('num_key_value_heads', {
    fallback:
      (read.has('num_key_value_heads') ? undefined : family.fallbacks['num_key_value_heads']) ?? heads,
    most: 2 ** 12,
  });
  if (heads % kvHeads !== 0)
    read.refuse(`${heads} attention heads do not divide into ${kvHeads} key and value heads`);
  const biases = readBiases(read, family);
  const slidingWindow = readWindow(read, family.window, { layerCount });
  const spec: TextSpec = {
    vocabularySize: need('vocab_size', 2 ** 24),
    hiddenSize,
    mlpSize: need('intermediate_size', 2 ** 22),
    layerCount,
    heads,
    kvHeads,
    headDim,
    rmsEpsilon: read.notNegative('rms_norm_eps', { fallback: 1e-6 }),
    ropeTheta,
    ...(scaling ? { ropeScaling: scaling } : {}),
    maximumPositions: Math.min(
      positions,
      slidingWindow ?? positions,
      scaling?.type === 'longrope' ? scaling.originalPositions : positions,
    ),
    ...(slidingWindow === undefined ? {} : { slidingWindow }),
    ...biases,
    ...(family.headNorms ? { headNorms: true } : {}),
    tiedHead: tied(read.flag('tie_word_embeddings')),
    prefix,
  };
  read.refuseOthers(harmless);
  read.done();
  rope.done();
  return spec;
}

/** Gemma's name of the activation may stand beside the usual one; both must be silu, which transformers also calls swish. */
function requireSilu(read: ConfigReader): void {
  for (const key of ['hidden_act', 'hidden_activation']) {
    const activation = read.value(key) ?? 'silu';
    if (activation !== 'silu' && activation !== 'swish')
      read.refuse(
        `activation "${textOf(activation)}" is not supported; only silu is, which may also be called swish`,
      );
  }
}

function headDimOf(
  read: ConfigReader,
  { family, hiddenSize, heads }: { family: TextFamily; hiddenSize: number; heads: number },
): number {
  const share = hiddenSize / heads;
  const own = read.has('head_dim') ? undefined : family.fallbacks['head_dim'];
  const headDim = read.count('head_dim', {
    fallback: own ?? Math.max(2, Math.ceil(share)),
    most: 2 ** 12,
  });
  if (own === undefined && read.value('head_dim') === undefined && hiddenSize > 1 && !Number.isInteger(share))
    read.refuse(`${hiddenSize} features do not divide into ${heads} heads, and there is no "head_dim"`);
  if (headDim % 2 !== 0) read.refuse(`"head_dim" is ${headDim}, and must be even`);
  return headDim;
}

/** The biases that a family has, or that its config asks for; those that it cannot have are refused. */
function readBiases(
  read: ConfigReader,
  { biases, mlpBiases }: TextFamily,
): Pick<TextSpec, 'attentionBias' | 'outputBias' | 'mlpBias'> {
  const [attention, mlp] = [read.flag('attention_bias'), read.flag('mlp_bias')];
  if (attention && biases === 'never')
    read.refuse('"attention_bias" is true, and this architecture has none');
  if (mlp && !mlpBiases) read.refuse('"mlp_bias" is true, and this architecture has none');
  return {
    attentionBias: biases === 'qkv' || (biases === 'by config' && attention),
    ...(biases === 'by config' && attention ? { outputBias: true } : {}),
    ...(mlpBiases && mlp ? { mlpBias: true } : {}),
  };
}
