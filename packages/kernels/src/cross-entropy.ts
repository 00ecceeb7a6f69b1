/** Cross-entropy over rows of logits, in plain loops on typed arrays; shared by every ground. */

/**
 * Weighted sum over rows of −log softmax(logits)[target], by log-sum-exp; turns `logits` into its own gradient in place.
 *
 * d/dlogit_j = weight · (softmax_j − [j = target])
 */
export function crossEntropyInPlace(
  logits: Float32Array,
  targets: Int32Array,
  weights: Float32Array,
): number {
  const columns = logits.length / targets.length;
  let loss = 0;
  for (let row = 0; row < targets.length; row++) {
    const start = row * columns;
    const weight = weights[row] ?? 0;
    const target = targets[row] ?? -1;
    if (weight === 0) {
      logits.fill(0, start, start + columns);
      continue;
    }
    if (target < 0 || target >= columns)
      throw new Error(
        `kernels/crossEntropy: target ${target} of row ${row} is outside the ${columns} columns`,
      );
    let highest = -Infinity;
    for (let j = start; j < start + columns; j++) highest = Math.max(highest, logits[j]!);
    let total = 0;
    for (let j = start; j < start + columns; j++) total += Math.exp(logits[j]! - highest);
    const logTotal = highest + Math.log(total);
    loss += weight * (logTotal - logits[start + target]!);
    for (let j = start; j < start + columns; j++) logits[j] = weight * Math.exp(logits[j]! - logTotal);
    logits[start + target]! -= weight;
  }
  return loss;
}
