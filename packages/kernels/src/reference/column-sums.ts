/**
 * Sums along the last axis that do not lose the small terms of long rows.
 *
 * tfjs adds a row one element after another in float32, which is off by 1e-4 after a vocabulary of 49,152 exponentials. Here groups of 32
 * are added first, then the sums of groups, so that no term passes through more than 32 additions per level.
 */
import * as tf from '@contextlora/kernels/tfjs';

const groupSize = 32;

/** The sum of the last axis, which is kept with length 1. Only operations of tfjs are used, so nothing is read back. */
export function sumColumns<T extends tf.Tensor>(x: T): T {
  return tf.tidy(() => {
    const leading = x.shape.slice(0, -1);
    const rows = leading.reduce((product, n) => product * n, 1);
    let columns = x.shape.at(-1) ?? 1;
    let sums = tf.reshape<tf.Rank.R2>(x, [rows, columns]);
    while (columns > groupSize) {
      const groups = Math.ceil(columns / groupSize);
      const missing = groups * groupSize - columns;
      const whole = missing === 0 ? sums : tf.pad2d(sums, [[0, 0], [0, missing]]); // prettier-ignore
      sums = tf.reshape<tf.Rank.R2>(tf.sum(tf.reshape<tf.Rank.R2>(whole, [rows * groups, groupSize]), 1), [
        rows,
        groups,
      ]);
      columns = groups;
    }
    return tf.reshape(tf.sum(sums, 1, true), [...leading, 1]) as T;
  });
}

/** exp(x − max) / Σ exp(x − max) along the last axis. */
export function softmax<T extends tf.Tensor>(x: T): T {
  return tf.tidy(() => {
    const powers = tf.exp(tf.sub(x, tf.max(x, -1, true)));
    return tf.div(powers, sumColumns(powers)) as T;
  });
}
