/** Compact weights expanded whole, in plain loops: for the reference backend and for callers that need the numbers. */
import { requireLength } from '../require-length.js';
import { type CompactWeight, formatOf } from './compact-formats.js';

/** The float32 values `[out, in]` of a compact weight, written to `values` if given. */
export function expandWeight(
  weight: CompactWeight,
  outFeatures: number,
  inFeatures: number,
  values: Float32Array = new Float32Array(outFeatures * inFeatures),
): Float32Array {
  const format = formatOf(weight);
  format.check(weight, { outFeatures, inFeatures });
  requireLength('expandWeight', 'the target', values.length, outFeatures * inFeatures);
  format.decode(weight, inFeatures, values);
  return values;
}
