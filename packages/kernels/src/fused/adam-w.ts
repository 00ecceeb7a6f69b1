/** AdamW of the fast backends: stretches of the flat buffers pass through the heap while they are in the processor's cache. */
import type { Kernels } from '../kernels.js';
import { requireLength } from '../require-length.js';
import type { FusedContext } from './context.js';

/** Floats of one stretch; four buffers of this size fit a second-level cache. */
const stretch = 16_384;

export const fusedAdamW = ({ heap, module, scratch }: FusedContext): Kernels['adamW'] =>
  function adamW(
    parameters,
    gradients,
    firstMoment,
    secondMoment,
    { learningRate, beta1, beta2, epsilon, weightDecay, step, gradientScale },
  ) {
    for (const [name, buffer] of Object.entries({ gradients, firstMoment, secondMoment }))
      requireLength('adamW', name, buffer.length, parameters.length);
    for (let start = 0; start < parameters.length; start += stretch) {
      const end = Math.min(parameters.length, start + stretch);
      const parts = [parameters, gradients, firstMoment, secondMoment].map((buffer) =>
        buffer.subarray(start, end),
      );
      const addresses = scratch.put(...parts);
      module.adamW(
        ...addresses,
        end - start,
        1 - learningRate * weightDecay,
        learningRate / (1 - beta1 ** step),
        1 / Math.sqrt(1 - beta2 ** step),
        epsilon,
        beta1,
        beta2,
        gradientScale,
        1 - beta1,
        1 - beta2,
      );
      // The gradients do not change.
      for (const i of [0, 2, 3]) parts[i]!.set(heap.floatsAt(addresses[i]!, end - start));
    }
  };
