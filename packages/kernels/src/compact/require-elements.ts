/** Checks the size of an array of a compact weight. */
import { requireLength } from '../require-length.js';
import type { WeightShape } from './weight-format.js';

/** Throws unless an array of a weight of that shape has the length. */
export function requireElements(
  what: string,
  actual: number,
  expected: number,
  { outFeatures, inFeatures }: WeightShape,
): void {
  requireLength('prepareLinear', `${what} [${outFeatures}, ${inFeatures}]`, actual, expected);
}
