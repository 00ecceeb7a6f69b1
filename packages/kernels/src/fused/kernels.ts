/**
 * A fast backend: operations on the heap of the tfjs wasm backend that read and write each value once, and the matrix products of its parts.
 */
import { withCompactWeights } from '../compact/products.js';
import { type AllProducts, withIntegerWeights } from '../integer/products.js';
import type { Kernels } from '../kernels.js';
import { withLiveWeights } from '../live-weights.js';
import { fusedActivations } from './activations.js';
import { fusedAdamW } from './adam-w.js';
import { fusedAttention } from './attention.js';
import { fusedCachedAttention } from './cached-attention.js';
import type { FusedContext } from './context.js';
import { fusedCrossEntropy } from './cross-entropy.js';
import { fusedLinear } from './linear.js';
import { fusedNorms } from './norms.js';
import { fusedRows } from './rows.js';

/** Makes the operations of a backend from its parts; `dispose` frees their sessions and scratch. */
export function createFusedKernels(backend: Kernels['backend'], parts: FusedContext): Kernels {
  const compact = withCompactWeights(parts.products, parts);
  const products: AllProducts = withIntegerWeights(compact, parts);
  const context = { ...parts, products };
  const attention = fusedAttention(context);
  return withLiveWeights({
    backend,
    ...fusedLinear(context),
    ...fusedNorms(context),
    ...attention,
    ...fusedCachedAttention(context, attention.attention),
    ...fusedActivations(context),
    ...fusedRows(context),
    ...fusedCrossEntropy(context),
    adamW: fusedAdamW(context),
    dispose() {
      products.dispose();
      context.scratch.dispose();
    },
  });
}
