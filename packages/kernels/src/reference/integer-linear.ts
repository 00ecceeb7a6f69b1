/** Integer weights of the reference backend: the same integers as in the fast backends, in float32 that holds them exactly. */
import * as tf from '@contextlora/kernels/tfjs';

import { type IntegerWeight, requireIntegerWeight } from '../integer/integer-weight.js';
import { rotationBlocks } from '../integer/rotate-row.js';

/** So many products of bytes sum up exactly in float32: 1024 · 127² < 2²⁴. */
const exactTerms = 1024;

/** The weight of one linear layer, multiplied by both sides. */
export interface ReferenceIntegers {
  /** x Wᵀ `[rows, out]` */
  forward(x: tf.Tensor2D): tf.Tensor2D;
  /** dy W `[rows, in]` */
  backward(dy: tf.Tensor2D): tf.Tensor2D;
  dispose(): void;
}

export function prepareIntegers(
  weight: IntegerWeight,
  outFeatures: number,
  inFeatures: number,
): ReferenceIntegers {
  requireIntegerWeight(weight, { outFeatures, inFeatures });
  const values = tf.tensor2d(Float32Array.from(weight.values), [outFeatures, inFeatures]);
  const transposed = tf.transpose(values);
  const scales = tf.tensor2d(weight.scales, [1, outFeatures]);
  return {
    forward: (x) =>
      tf.tidy(() => {
        const { integers, rowScales } = roundRows(rotate(x));
        return tf.mul(tf.mul(exactProduct(integers, transposed), scales), rowScales);
      }),
    backward: (dy) =>
      tf.tidy(() => {
        const { integers, rowScales } = roundRows(tf.mul(dy, scales));
        return rotate(tf.mul(exactProduct(integers, values), rowScales));
      }),
    dispose() {
      tf.dispose([values, transposed, scales]);
    },
  };
}

/** q = round(127 x / max |x|) and max |x| / 127 of each row; a row that is not finite has the scale NaN. */
function roundRows(x: tf.Tensor2D): { integers: tf.Tensor2D; rowScales: tf.Tensor2D } {
  const most = tf.max<tf.Tensor2D>(tf.abs(x), 1, true);
  // x − x is 0 for finite numbers and NaN for others, whatever a backend's maximum makes of NaN.
  const finite = tf.equal(tf.sum(tf.sub(x, x), 1, true), 0);
  const counts = tf.logicalAnd(finite, tf.greaterEqual(most, 1e-36));
  const inverse = tf.div(127, tf.where(counts, most, tf.onesLike(most)));
  const integers = tf.where<tf.Tensor2D>(
    tf.broadcastTo(counts, x.shape),
    tf.round(tf.mul(x, inverse)),
    tf.zerosLike(x),
  );
  const others = tf.where(finite, tf.zerosLike(most), tf.fill(most.shape, NaN));
  return { integers, rowScales: tf.where<tf.Tensor2D>(counts, tf.div(most, 127), others) };
}

/** The product of integers, as the float32 nearest to each exact sum. */
function exactProduct(a: tf.Tensor2D, b: tf.Tensor2D): tf.Tensor2D {
  const [m, k] = a.shape;
  let sum: tf.Tensor2D | undefined;
  for (let start = 0; start < k; start += exactTerms) {
    const size = Math.min(exactTerms, k - start);
    const part = tf.cast<tf.Tensor2D>(
      tf.matMul(tf.slice(a, [0, start], [m, size]), tf.slice(b, [start, 0], [size, -1])),
      'int32',
    );
    sum = sum ? tf.add(sum, part) : part;
  }
  return tf.cast<tf.Tensor2D>(sum!, 'float32');
}

/** Rows rotated as by `rotateRow`, with the same operations in the same order. */
function rotate(x: tf.Tensor2D): tf.Tensor2D {
  const [rows, columns] = x.shape;
  const parts: tf.Tensor2D[] = [];
  let start = 0;
  const sizes = rotationBlocks(columns);
  for (let i = 0; i < sizes.length;) {
    const size = sizes[i]!;
    const count = sizes.lastIndexOf(size) - i + 1;
    let blocks: tf.Tensor = tf.slice(x, [0, start], [rows, count * size]);
    for (let half = size / 2; half >= 1; half /= 2) {
      const [p, q] = tf.split(tf.reshape(blocks, [-1, 2, half]), 2, 1) as [tf.Tensor, tf.Tensor];
      blocks = tf.concat([tf.add(p, q), tf.sub(p, q)], 1);
    }
    const scaled = tf.mul(blocks, Math.fround(1 / Math.sqrt(size)));
    parts.push(tf.reshape(scaled, [rows, count * size]));
    start += count * size;
    i += count;
  }
  return parts.length === 1 ? parts[0]! : tf.concat(parts, 1);
}
