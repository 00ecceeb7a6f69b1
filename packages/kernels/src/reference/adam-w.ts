/** AdamW of the reference backend, over flat buffers. */
import type { AdamWOptions } from '../kernels.js';
import { requireLength } from '../require-length.js';

/**
 * One step in place (Loshchilov & Hutter 2019, algorithm 2; torch.optim.AdamW).
 *
 * p ← p − lr·wd·p; m ← β₁m + (1−β₁)g; v ← β₂v + (1−β₂)g²; p ← p − lr/(1−β₁ᵗ) · m / (√v/√(1−β₂ᵗ) + ε)
 */
export function adamW(
  parameters: Float32Array,
  gradients: Float32Array,
  firstMoment: Float32Array,
  secondMoment: Float32Array,
  { learningRate, beta1, beta2, epsilon, weightDecay, step, gradientScale }: AdamWOptions,
): void {
  for (const [name, buffer] of Object.entries({ gradients, firstMoment, secondMoment }))
    requireLength('adamW', name, buffer.length, parameters.length);
  const decay = 1 - learningRate * weightDecay;
  const stepSize = learningRate / (1 - beta1 ** step);
  const rootCorrection = Math.sqrt(1 - beta2 ** step);
  for (let i = 0; i < parameters.length; i++) {
    const g = gradients[i]! * gradientScale;
    const m = beta1 * firstMoment[i]! + (1 - beta1) * g;
    const v = beta2 * secondMoment[i]! + (1 - beta2) * g * g;
    firstMoment[i] = m;
    secondMoment[i] = v;
    parameters[i] = parameters[i]! * decay - (stepSize * m) / (Math.sqrt(v) / rootCorrection + epsilon);
  }
}
