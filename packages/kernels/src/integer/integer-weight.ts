/** Weights that are multiplied as integers: each row rotated, then rounded to bytes with one scale. */
import { requireElements } from '../compact/require-elements.js';
import { largestMagnitude } from '../compact/largest-magnitude.js';
import type { WeightShape } from '../compact/weight-format.js';
import { KernelsError } from '../kernels-error.js';
import { requireLength } from '../require-length.js';
import { rotateRow } from './rotate-row.js';

/**
 * W ≈ (scales · values) R, R the rotation: 8-bit weights for products with 8-bit activations ("W8A8").
 *
 * Both directions use the same integers: y = q(x R) (values)ᵀ · scales and dx = q(dy · scales) (values) R, where q rounds each row to bytes
 * with one scale and the sums are exact.
 */
export interface IntegerWeight {
  readonly format: 'w8a8';
  /** `[out, in]`, −127 to 127 */
  readonly values: Int8Array;
  /** One per row. */
  readonly scales: Float32Array;
}

/** Bytes of a value, because products read it in the order of the rows and in that of the columns; and of a row's scale. */
export const integerWeightBytes = { perValue: 2, perRow: 4 } as const;

/** The most values that a product may sum up, so that no sum of 255 · 127 exceeds 32 bits. */
const mostTerms = 65_536;

/**
 * Rounds a weight `[out, in]` for products of integers.
 *
 * @throws KernelsError (`KERNELS_FORMAT_UNSUITABLE`) where values are too large to be rotated, or the weight is too wide.
 */
export function integerWeight(values: Float32Array, outFeatures: number, inFeatures: number): IntegerWeight {
  requireLength('integerWeight', 'the weight', values.length, outFeatures * inFeatures);
  requireTerms('integerWeight', { outFeatures, inFeatures });
  const rounded = new Int8Array(values.length);
  const scales = new Float32Array(outFeatures);
  for (let row = 0; row < outFeatures; row++) {
    const rotated = values.slice(row * inFeatures, (row + 1) * inFeatures);
    rotateRow(rotated);
    const scale = Math.fround(largestMagnitude(rotated) / 127);
    if (!Number.isFinite(scale))
      throw new KernelsError(
        'KERNELS_FORMAT_UNSUITABLE',
        'integerWeight',
        `row ${row} has values that are too large for w8a8; keep this weight in f32`,
      );
    scales[row] = scale;
    if (scale === 0) continue;
    for (let i = 0; i < inFeatures; i++)
      rounded[row * inFeatures + i] = Math.max(-127, Math.min(127, Math.round(rotated[i]! / scale)));
  }
  return { format: 'w8a8', values: rounded, scales };
}

/** Throws unless the weight has the size of its shape and its sums fit 32 bits. */
export function requireIntegerWeight({ values, scales }: IntegerWeight, shape: WeightShape): void {
  requireElements('the values of a w8a8 weight', values.length, shape.outFeatures * shape.inFeatures, shape);
  requireElements('the scales of a w8a8 weight', scales.length, shape.outFeatures, shape);
  requireTerms('prepareLinear', shape);
}

function requireTerms(where: string, { outFeatures, inFeatures }: WeightShape): void {
  if (Math.max(outFeatures, inFeatures) > mostTerms)
    throw new KernelsError(
      'KERNELS_FORMAT_UNSUITABLE',
      where,
      `sums of [${outFeatures}, ${inFeatures}] in w8a8 may exceed 32 bits (at most ${mostTerms} either way); keep this weight in f32`,
    );
}
