/**
 * How a model stretches its rotary frequencies to longer contexts (transformers, modeling_rope_utils.py).
 *
 * `dynamic` and `longrope` change with the length of a text. They are supported up to the length where they change, which then limits the
 * model's positions: plain frequencies for `dynamic`, the short factors for `longrope`.
 */
import { type Config, type ConfigReader, textOf } from './config-reader.js';

export type RotaryScaling =
  /** Every frequency divided by the factor; cos and sin are multiplied by `attentionFactor` if there is one (GGUF). */
  | { readonly type: 'linear'; readonly factor: number; readonly attentionFactor?: number }
  /** Llama 3: the frequencies of long waves are divided by the factor, those of short waves kept, those between blended. */
  | {
      readonly type: 'llama3';
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      readonly originalPositions: number;
    }
  /** YaRN (Peng et al. 2023): a ramp over the pairs from kept to divided frequencies; cos and sin are multiplied by a factor. */
  | {
      readonly type: 'yarn';
      readonly factor: number;
      readonly originalPositions: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      readonly attentionFactor: number;
      readonly truncate: boolean;
    }
  /** LongRoPE (Ding et al. 2024) within the original positions: a divisor per pair; cos and sin are multiplied by a factor. */
  | {
      readonly type: 'longrope';
      readonly shortFactors: readonly number[];
      readonly originalPositions: number;
      readonly attentionFactor: number;
    }
  /** A divisor per pair, as in a GGUF file's `rope_freqs.weight`; cos and sin as for `linear`. */
  | {
      readonly type: 'divisors';
      readonly divisors: readonly number[];
      readonly attentionFactor?: number;
    };

/**
 * The rotary part of a config with the precedence of transformers: `rope_scaling` unless it is empty, else `rope_parameters`; a base or a
 * share of turned features outside of it counts where it has none, and original positions outside of it count first (Phi-3).
 */
export function rotaryConfig(read: ConfigReader): Config {
  const parts = ['rope_scaling', 'rope_parameters'].map((key) => {
    const value = read.value(key) ?? {};
    if (typeof value === 'object' && !Array.isArray(value)) return value as Config;
    read.refuse(`"${key}" is ${textOf(value)}, and must be an object`);
    return {};
  });
  const rope = parts.find((part) => Object.keys(part).length > 0) ?? {};
  const outside = (key: string) => {
    const value = read.value(key);
    return value === undefined ? {} : { [key]: value };
  };
  return {
    ...outside('rope_theta'),
    ...outside('partial_rotary_factor'),
    ...rope,
    ...outside('original_max_position_embeddings'),
  };
}

/** What a scaling may say without effect: transformers reads it for other types only. */
const withoutEffect = ['finetuned', 'original_max_position_embeddings', 'type'];

/** Reads the scaling of a rotary config, whose settings `read` reads; undefined for plain rotary embeddings. */
export function parseRotaryScaling(
  read: ConfigReader,
  { maximumPositions, headDim }: { maximumPositions: number; headDim: number },
): RotaryScaling | undefined {
  const type = textOf(read.value('rope_type') ?? read.value('type') ?? 'default');
  const share = read.value('partial_rotary_factor') ?? 1;
  if (share !== 1)
    read.refuse(
      `only whole heads turned by rotary embeddings are supported ("partial_rotary_factor" is ${textOf(share)})`,
    );
  const scaling = scalingOf(type, read, { maximumPositions, headDim });
  read.refuseOthers(withoutEffect);
  return scaling;
}

function scalingOf(
  type: string,
  read: ConfigReader,
  { maximumPositions, headDim }: { maximumPositions: number; headDim: number },
): RotaryScaling | undefined {
  const original = () => read.count('original_max_position_embeddings', { fallback: maximumPositions });
  switch (type) {
    case 'default':
      return undefined;
    case 'linear':
      return { type, factor: read.positive('factor') };
    case 'llama3': {
      const scaling = {
        type,
        factor: read.positive('factor'),
        lowFrequencyFactor: read.positive('low_freq_factor'),
        highFrequencyFactor: read.positive('high_freq_factor'),
        originalPositions: original(),
      } as const;
      if (scaling.highFrequencyFactor === scaling.lowFrequencyFactor)
        read.refuse('"low_freq_factor" and "high_freq_factor" are equal, and must not be');
      return scaling;
    }
    case 'yarn': {
      const originalPositions = original();
      const factor = read.positive('factor', { fallback: maximumPositions / originalPositions });
      const [mscale, mscaleAll] = [read.value('mscale'), read.value('mscale_all_dim')];
      const blend = (by: number) => (factor <= 1 ? 1 : 0.1 * by * Math.log(factor) + 1);
      const inferred =
        typeof mscale === 'number' && typeof mscaleAll === 'number' && mscale && mscaleAll
          ? blend(mscale) / blend(mscaleAll)
          : blend(1);
      return {
        type,
        factor,
        originalPositions,
        // 0 stands for the default, as in transformers.
        betaFast: read.notNegative('beta_fast', { fallback: 32 }) || 32,
        betaSlow: read.notNegative('beta_slow', { fallback: 1 }) || 1,
        attentionFactor: read.positive('attention_factor', { fallback: inferred }),
        truncate: !read.has('truncate') || read.flag('truncate'),
      };
    }
    case 'dynamic':
      read.positive('factor');
      return undefined;
    case 'longrope': {
      const originalPositions = original();
      const factor = read.positive('factor', { fallback: maximumPositions / originalPositions });
      // √(1 + ln factor / ln original)
      const inferred = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(originalPositions));
      // They apply beyond the original positions, which are not used.
      read.value('long_factor');
      return {
        type,
        shortFactors: read.positives('short_factor', headDim / 2),
        originalPositions,
        attentionFactor: read.positive('attention_factor', { fallback: inferred }),
      };
    }
    default:
      read.refuse(
        `rope scaling "${type}" is not supported; default, linear, llama3, yarn, dynamic and longrope are`,
      );
      return undefined;
  }
}

/** The angle per position of each pair, and the factor of cos and sin. */
export function rotaryFrequencies(
  theta: number,
  headDim: number,
  scaling: RotaryScaling | undefined,
): { frequencies: Float32Array; amplitude: number } {
  // The reference computes frequencies in float32; float64 here would differ in the last digits at high positions.
  const periods = Float32Array.from({ length: headDim / 2 }, (_, i) => theta ** ((2 * i) / headDim));
  const plain = periods.map((period) => 1 / period);
  switch (scaling?.type) {
    case undefined:
      return { frequencies: plain, amplitude: 1 };
    case 'linear':
      return {
        frequencies: plain.map((frequency) => frequency / scaling.factor),
        amplitude: scaling.attentionFactor ?? 1,
      };
    case 'divisors':
      return {
        frequencies: plain.map((frequency, i) => frequency / (scaling.divisors[i] ?? 1)),
        amplitude: scaling.attentionFactor ?? 1,
      };
    case 'longrope':
      return {
        frequencies: periods.map(
          (period, i) => 1 / Math.fround(Math.fround(scaling.shortFactors[i] ?? 1) * period),
        ),
        amplitude: scaling.attentionFactor,
      };
    case 'llama3':
      return { frequencies: plain.map((frequency) => llama3Frequency(frequency, scaling)), amplitude: 1 };
    case 'yarn': {
      const { factor, attentionFactor } = scaling;
      const ramp = yarnRamp(theta, headDim, scaling);
      return {
        frequencies: periods.map((period, i) => {
          const divided = ramp(i);
          return (1 / (factor * period)) * divided + (1 / period) * (1 - divided);
        }),
        amplitude: attentionFactor,
      };
    }
  }
}

/** By wave length 2π / f: above original / low divided, below original / high kept, between blended. */
function llama3Frequency(
  frequency: number,
  {
    factor,
    lowFrequencyFactor: low,
    highFrequencyFactor: high,
    originalPositions,
  }: RotaryScaling & { type: 'llama3' },
): number {
  const waveLength = (2 * Math.PI) / frequency;
  if (waveLength > originalPositions / low) return frequency / factor;
  if (waveLength < originalPositions / high) return frequency;
  const smooth = (originalPositions / waveLength - low) / (high - low);
  return ((1 - smooth) * frequency) / factor + smooth * frequency;
}

/** The share of the division for each pair: 0 for pairs that turn `betaFast` times within the original positions, 1 from `betaSlow` turns down. */
function yarnRamp(
  theta: number,
  headDim: number,
  { originalPositions, betaFast, betaSlow, truncate }: RotaryScaling & { type: 'yarn' },
): (pair: number) => number {
  const pairThatTurns = (times: number) =>
    (headDim * Math.log(originalPositions / (times * 2 * Math.PI))) / (2 * Math.log(theta));
  const [first, last] = [pairThatTurns(betaFast), pairThatTurns(betaSlow)];
  const low = Math.max(truncate ? Math.floor(first) : first, 0);
  const end = Math.min(truncate ? Math.ceil(last) : last, headDim - 1);
  const high = end === low ? end + 0.001 : end;
  return (pair) => Math.min(1, Math.max(0, (pair - low) / (high - low)));
}
