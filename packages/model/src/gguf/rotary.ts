/**
 * How a GGUF file scales rotary embeddings, as llama.cpp computes it (llama-model.cpp, llama-context.cpp and ggml's rope).
 *
 * A scaling without a type is linear, a factor of 0 is none, `rope.scale_linear` is the older name of the factor, the attention factor
 * multiplies cos and sin whatever the type, and `rope_freqs.weight` divides each frequency before the factor does.
 */
import type { RotaryScaling } from '../spec/rotary-scaling.js';
import { type ArchitectureSettings, describe } from './metadata.js';

export function ggufRotaryScaling(
  { value, number, refuse }: ArchitectureSettings,
  { divisors, positions }: { divisors: readonly number[] | undefined; positions: number },
): RotaryScaling | undefined {
  const type = value('rope.scaling.type') ?? 'linear';
  const older = number('rope.scale_linear');
  const factor = (number('rope.scaling.factor') ?? older ?? 0) || 1;
  const attention = number('rope.scaling.attn_factor') ?? 1;
  const original = number('rope.scaling.original_context_length');
  const originalPositions = original === undefined || original === 0 ? positions : original;
  if (!(factor > 0) || !(attention > 0) || !(originalPositions > 0))
    refuse(
      `rope scaling by ${factor}, with attention factor ${attention} and ${originalPositions} original positions; all must be positive`,
    );
  const withAttention = attention === 1 ? {} : { attentionFactor: attention };
  switch (type) {
    case 'none':
    case 'linear': {
      const by = type === 'none' ? 1 : factor;
      if (divisors)
        return { type: 'divisors', divisors: divisors.map((divisor) => divisor * by), ...withAttention };
      return by === 1 && attention === 1 ? undefined : { type: 'linear', factor: by, ...withAttention };
    }
    case 'yarn':
      if (divisors) refuse('"rope_freqs.weight" together with rope scaling "yarn" is not supported');
      return {
        type,
        factor,
        originalPositions,
        betaFast: 32,
        betaSlow: 1,
        attentionFactor: (factor > 1 ? 1 + 0.1 * Math.log(factor) : 1) * attention,
        truncate: true,
      };
    default:
      refuse(`rope scaling ${describe(type)} is not supported; none, linear and yarn are in GGUF files`);
      return undefined;
  }
}
