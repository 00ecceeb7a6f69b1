/** What decides a step once the gradients of all layers are known: their norm, and the factor that limits it. */
import type { Segments } from '@contextlora/lora';

import { includes, type LayerRange } from '../spec/layer-range.js';

/** The largest gradient whose square, the second moment, is finite in float32. */
const largestNorm = 1e19;

/** For each layer of the range, the sum of the squares of its linears' gradients. */
export function layerSquares(
  gradients: Segments,
  { range, layerOf }: { range: LayerRange; layerOf: ReadonlyMap<string, number> },
): number[] {
  const sums = new Array<number>(range.end - range.start).fill(0);
  for (const segment of Object.values(gradients))
    for (const [linear, { a, b }] of Object.entries(segment)) {
      const layer = layerOf.get(linear) ?? -1;
      if (includes(range, layer)) sums[layer - range.start]! += sumOfSquares(a) + sumOfSquares(b);
    }
  return sums;
}

/**
 * The norm of a gradient before clipping, and the factor to apply to it. `gradientSquares` are the sums of all layers in order, so that
 * the result is the same to the bit wherever a pipeline is cut.
 *
 * Without a factor the step must be dropped: its loss or its norm is not finite, or too large for the optimizer (norm Infinity).
 */
export function clipStep(
  gradientSquares: readonly number[],
  { loss, clipNorm }: { readonly loss: number; readonly clipNorm: number },
): { readonly norm: number; readonly gradientScale?: number } {
  const norm = Math.sqrt(gradientSquares.reduce((total, sum) => total + sum, 0));
  // As torch.nn.utils.clip_grad_norm_: factor min(1, limit / (norm + 1e-6)).
  const gradientScale = Math.min(1, clipNorm / (norm + 1e-6));
  if (!Number.isFinite(loss) || !Number.isFinite(norm)) return { norm };
  if (norm * gradientScale > largestNorm) return { norm: Infinity };
  return { norm, gradientScale };
}

function sumOfSquares(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return sum;
}
