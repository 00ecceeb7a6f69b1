/** Lion, the optimizer whose steps are signs, over flat buffers; the same on every backend. */
import { requireLength } from '../require-length.js';

export interface LionOptions {
  readonly learningRate: number;
  /** Of the mean in the direction of a step. */
  readonly beta1: number;
  /** Of the mean that is kept. */
  readonly beta2: number;
  /** Decoupled, as of AdamW. */
  readonly weightDecay: number;
  /** Factor applied to every gradient first. */
  readonly gradientScale: number;
}

/**
 * One step in place (Chen et al. 2023, algorithm 2): p ← p − lr·wd·p − lr·sign(β₁m + (1−β₁)g); m ← β₂m + (1−β₂)g. `mean` is zero before
 * the first step.
 */
export function lion(
  parameters: Float32Array,
  gradients: Float32Array,
  mean: Float32Array,
  { learningRate, beta1, beta2, weightDecay, gradientScale }: LionOptions,
): void {
  for (const [name, buffer] of Object.entries({ gradients, mean }))
    requireLength('lion', name, buffer.length, parameters.length);
  const decay = 1 - learningRate * weightDecay;
  for (let i = 0; i < parameters.length; i++) {
    const g = gradients[i]! * gradientScale;
    const m = mean[i]!;
    parameters[i] = parameters[i]! * decay - learningRate * Math.sign(beta1 * m + (1 - beta1) * g);
    mean[i] = beta2 * m + (1 - beta2) * g;
  }
}
