/** Cross-entropy of the reference backend. */
import * as tf from '@contextlora/kernels/tfjs';

import type { LinearWeight, LossValue } from '../kernels.js';
import { requireShape, requireTargets } from '../require-shape.js';
import { sumColumns } from './column-sums.js';
import { linear, linearBackward } from './linear.js';

/**
 * Weighted sum over rows of −log softmax(logits)[target], by log-sum-exp, and its gradient.
 *
 * d/dlogit_j = weight · (softmax_j − [j = target])
 */
export function crossEntropy(
  logits: tf.Tensor2D,
  targets: Int32Array,
  weights: Float32Array,
): { loss: LossValue; dLogits: tf.Tensor2D } {
  requireShape('crossEntropy', 'logits', logits, [null, null]);
  const [rows, columns] = logits.shape;
  requireTargets('crossEntropy', [rows, columns], { targets, weights });
  const kept = Int32Array.from([...weights.keys()].filter((row) => weights[row] !== 0));
  if (kept.length === 0) return { loss: 0, dLogits: tf.zeros<tf.Rank.R2>([rows, columns]) };
  const [total, dLogits] = tf.tidy(() => {
    // A row of weight 0 must not count even if it holds NaN.
    const keptRows = tf.tensor2d(kept, [kept.length, 1], 'int32');
    const all = kept.length === rows;
    const counted = all ? logits : tf.gatherND(logits, keptRows);
    const places = tf.tensor2d(
      Int32Array.from({ length: 2 * kept.length }, (_, i) => (i % 2 === 0 ? i / 2 : targets[kept[i >> 1]!]!)),
      [kept.length, 2],
      'int32',
    );
    const weight = tf.tensor1d(Float32Array.from(kept, (row) => weights[row]!));
    const column = tf.reshape(weight, [kept.length, 1]);
    const shifted = tf.sub(counted, tf.max(counted, 1, true)); // [kept, columns]
    const powers = tf.exp(shifted);
    const sums = sumColumns(powers); // [kept, 1]
    const losses = tf.sub(tf.reshape(tf.log(sums), [kept.length]), tf.gatherND(shifted, places));
    const right = tf.scatterND(places, weight, [kept.length, columns]);
    const gradient = tf.sub(tf.mul(powers, tf.div(column, sums)), right);
    return [
      tf.sum(tf.mul(weight, losses)) as tf.Scalar,
      (all ? gradient : tf.scatterND(keptRows, gradient, [rows, columns])) as tf.Tensor2D,
    ] as const;
  });
  return { loss: takeValue(total), dLogits };
}

/** The same for the logits x Wᵀ, and its gradient for x if needed; all logits exist at once. */
export function linearCrossEntropy(
  x: tf.Tensor2D,
  weight: LinearWeight,
  targets: Int32Array,
  weights: Float32Array,
  { input }: { readonly input: boolean },
): { loss: LossValue; dx: tf.Tensor2D | null } {
  requireShape('linearCrossEntropy', 'x', x, [null, weight.inFeatures]);
  requireTargets('linearCrossEntropy', [x.shape[0], weight.outFeatures], { targets, weights });
  const { y, saved } = linear(x, weight);
  const { loss, dLogits } = crossEntropy(y, targets, weights);
  const { dx } = linearBackward(dLogits, saved, weight, [], { input });
  tf.dispose([y, dLogits]);
  return { loss, dx };
}

/** Reads a scalar and frees it: at once, or on WebGPU when it has been computed. */
function takeValue(scalar: tf.Scalar): LossValue {
  if (tf.getBackend() !== 'webgpu') {
    const [value = NaN] = scalar.dataSync();
    scalar.dispose();
    return value;
  }
  // A tidy scope of the caller may end earlier.
  tf.keep(scalar);
  return scalar.data().then(([value = NaN]) => {
    scalar.dispose();
    return value;
  });
}
