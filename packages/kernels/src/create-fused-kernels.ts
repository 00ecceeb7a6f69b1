/**
 * A fast ground: operations on the heap of the tfjs wasm backend that read and write each value once, over given matrix products.
 */
import { fusedActivations } from './fused-activations.js';
import { fusedAdamW } from './fused-adam-w.js';
import { fusedAttention } from './fused-attention.js';
import type { FusedContext } from './fused-context.js';
import { fusedCrossEntropy } from './fused-cross-entropy.js';
import { fusedLinear } from './fused-linear.js';
import { fusedNorms } from './fused-norms.js';
import { fusedRows } from './fused-rows.js';
import type { Kernels } from './kernels.js';

export function createFusedKernels(ground: Kernels['ground'], context: FusedContext): Kernels {
  return {
    ground,
    ...fusedLinear(context),
    ...fusedNorms(context),
    ...fusedAttention(context),
    ...fusedActivations(context),
    ...fusedRows(context),
    ...fusedCrossEntropy(context),
    adamW: fusedAdamW(context),
    dispose() {
      context.products.dispose();
      context.scratch.dispose();
    },
  };
}
