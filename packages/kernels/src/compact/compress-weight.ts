/** Float32 weights in compact formats, rounded to nearest. */
import { requireChoice } from '../require-choice.js';
import { requireLength } from '../require-length.js';
import { compactFormats, type CompactWeight, type CompressFormat } from './compact-formats.js';

const encodable = Object.values(compactFormats).flatMap((format) =>
  'encode' in format ? [format.name] : [],
);

/** Compresses a weight `[out, in]`; f16 throws where a value is too large for it. */
export function compressWeight(
  values: Float32Array,
  outFeatures: number,
  inFeatures: number,
  format: CompressFormat,
): CompactWeight {
  requireChoice('compressWeight', 'format', format, encodable);
  requireLength('compressWeight', 'the weight', values.length, outFeatures * inFeatures);
  return compactFormats[format].encode(values, { outFeatures, inFeatures });
}
