/**
 * Kernels that refuse a weight after its disposal.
 *
 * The fast backends keep weights as addresses: memory that was freed holds the next tensors, so a product would be a plausible wrong
 * answer, and freeing it twice would damage the heap.
 */
import type { Kernels, LinearWeight } from './kernels.js';
import { KernelsError } from './kernels-error.js';

/** The same kernels; a weight may be disposed more than once, and is used only before. */
export function withLiveWeights(kernels: Kernels): Kernels {
  const disposed = new WeakSet<LinearWeight>();
  const requireLive = (operation: string, weight: LinearWeight) => {
    if (disposed.has(weight))
      throw new KernelsError(
        'KERNELS_OPERAND_MISMATCH',
        operation,
        'the weight is disposed; was its model disposed while it was still in use?',
      );
  };
  return {
    ...kernels,
    prepareLinear(...given) {
      const inner = kernels.prepareLinear(...given);
      const weight: LinearWeight = {
        ...inner,
        dispose() {
          if (disposed.has(weight)) return;
          disposed.add(weight);
          inner.dispose();
        },
      };
      return weight;
    },
    linear(x, weight, segments) {
      requireLive('linear', weight);
      return kernels.linear(x, weight, segments);
    },
    linearBackward(dy, saved, weight, segments, needed) {
      requireLive('linearBackward', weight);
      return kernels.linearBackward(dy, saved, weight, segments, needed);
    },
    patchEmbedding(images, weight, shape, segments) {
      requireLive('patchEmbedding', weight);
      return kernels.patchEmbedding(images, weight, shape, segments);
    },
    linearCrossEntropy(x, weight, targets, weights, needed) {
      requireLive('linearCrossEntropy', weight);
      return kernels.linearCrossEntropy(x, weight, targets, weights, needed);
    },
  };
}
