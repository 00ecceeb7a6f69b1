/** Refuses weights that are not finite: one NaN makes every logit NaN, and a damaged file is found when it is loaded. */
import type { CompactWeight } from '@contextlora/kernels';

import { blocksNotFinite } from '../gguf/blocks.js';
import { ModelError } from '../model-error.js';

/** @throws ModelError (`MODEL_FILE_DAMAGED`) naming the tensor and how many of its numbers are not finite. */
export function requireFinite(
  weight: Float32Array | CompactWeight,
  { name, file, where }: { name: string; file: string; where: string },
): void {
  const bad = countOf(weight);
  if (bad === 0) return;
  const what = weight instanceof Float32Array || weight.format === 'f16' ? 'numbers' : 'blocks';
  throw new ModelError(
    'MODEL_FILE_DAMAGED',
    where,
    `${file}: tensor "${name}" holds ${bad} ${what} that are NaN or infinite; the file is damaged, or its training diverged`,
  );
}

function countOf(weight: Float32Array | CompactWeight): number {
  let bad = 0;
  if (weight instanceof Float32Array) {
    // NaN and infinities have an exponent of ones. Counting down by index takes an eighth of what `for … of` takes here.
    const words = new Int32Array(weight.buffer, weight.byteOffset, weight.length);
    for (let i = words.length - 1; i >= 0; i--) if ((words[i]! & 0x7f800000) === 0x7f800000) bad += 1;
    return bad;
  }
  if (weight.format === 'int8') return countOf(weight.scales);
  if (weight.format === 'f16') {
    const { values } = weight;
    for (let i = values.length - 1; i >= 0; i--) if ((values[i]! & 0x7c00) === 0x7c00) bad += 1;
    return bad;
  }
  return blocksNotFinite(weight).length;
}
