/** Stochastic gradient descent with momentum, over flat buffers; the same on every backend. */
import { requireLength } from '../require-length.js';

export interface SgdOptions {
  readonly learningRate: number;
  /** The part of the momentum that stays from step to step; 0 for none, and then no buffer is needed. */
  readonly momentum: number;
  /** Whether a step looks ahead by its momentum (Nesterov); only with momentum. */
  readonly nesterov: boolean;
  /** Times the parameter, it is added to its gradient. */
  readonly weightDecay: number;
  /** Factor applied to every gradient first. */
  readonly gradientScale: number;
}

/**
 * One step in place (Sutskever et al. 2013; torch.optim.SGD without dampening): g ← g + wd·p; m ← μm + g; p ← p − lr·m, or with
 * Nesterov p ← p − lr·(g + μm). `momentumBuffer` is empty without momentum, and zero before the first step.
 */
export function sgd(
  parameters: Float32Array,
  gradients: Float32Array,
  momentumBuffer: Float32Array,
  { learningRate, momentum, nesterov, weightDecay, gradientScale }: SgdOptions,
): void {
  requireLength('sgd', 'gradients', gradients.length, parameters.length);
  requireLength('sgd', 'momentumBuffer', momentumBuffer.length, momentum === 0 ? 0 : parameters.length);
  for (let i = 0; i < parameters.length; i++) {
    const g = gradients[i]! * gradientScale + weightDecay * parameters[i]!;
    let direction = g;
    if (momentum !== 0) {
      const m = momentum * momentumBuffer[i]! + g;
      momentumBuffer[i] = m;
      direction = nesterov ? g + momentum * m : m;
    }
    parameters[i] = parameters[i]! - learningRate * direction;
  }
}
