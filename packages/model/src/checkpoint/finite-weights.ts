/** Refuses weights that are not finite: one NaN makes every logit NaN, and a damaged file is found when it is loaded. */
import { type BlockFormat, compactFormats, type CompactWeight } from '@contextlora/kernels';

import { ModelError } from '../model-error.js';

/** The bytes of a block at which half-precision scales begin; all else in blocks is integers. */
const scales: Readonly<Record<BlockFormat, readonly number[]>> = {
  q8_0: [0],
  q4_0: [0],
  q4_1: [0, 2],
  q5_1: [0, 2],
  q4_K: [0, 2],
  q5_K: [0, 2],
  q6_K: [208],
};

/** @throws ModelError (`MODEL_FILE_DAMAGED`) naming the tensor and how many of its numbers are not finite. */
export function requireFinite(
  weight: Float32Array | CompactWeight,
  { name, file, where }: { name: string; file: string; where: string },
): void {
  const bad = countOf(weight);
  if (bad === 0) return;
  const what = weight instanceof Float32Array || weight.format === 'f16' ? 'numbers' : 'scales';
  throw new ModelError(
    'MODEL_FILE_DAMAGED',
    where,
    `${file}: tensor "${name}" holds ${bad} ${what} that are NaN or infinite; the file is damaged, or its training diverged`,
  );
}

function countOf(weight: Float32Array | CompactWeight): number {
  let bad = 0;
  if (weight instanceof Float32Array) {
    // NaN and infinities have an exponent of ones; as integers they cost a third of what Number.isFinite costs.
    const words = new Uint32Array(weight.buffer, weight.byteOffset, weight.length);
    for (const word of words) if ((word & 0x7f800000) === 0x7f800000) bad += 1;
    return bad;
  }
  if (weight.format === 'int8') return countOf(weight.scales);
  if (weight.format === 'f16') {
    for (const half of weight.values) if ((half & 0x7c00) === 0x7c00) bad += 1;
    return bad;
  }
  const { blocks, format } = weight;
  const { blockBytes } = compactFormats[format];
  for (const offset of scales[format])
    for (let at = offset + 1; at < blocks.length; at += blockBytes)
      if ((blocks[at]! & 0x7c) === 0x7c) bad += 1;
  return bad;
}
