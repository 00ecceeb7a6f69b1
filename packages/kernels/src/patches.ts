/** Images as rows of patches; shared by every backend. */
import { KernelsError } from './kernels-error.js';
import type { PatchShape } from './kernels.js';
import { requireLength } from './require-length.js';

/** `[images · patches, channels · patch · patch]`, each row one patch in the order channel, row, column. */
export function patchesOf(
  images: readonly Float32Array[],
  { imageSizePixels: size, patchSizePixels: patch, channels }: PatchShape,
): Float32Array {
  if (!Number.isInteger(size / patch))
    throw new KernelsError(
      'KERNELS_OPERAND_MISMATCH',
      'patchEmbedding',
      `${size} pixels do not divide into patches of ${patch}`,
    );
  const side = size / patch;
  const result = new Float32Array(images.length * side * side * channels * patch * patch);
  let at = 0;
  for (const [i, image] of images.entries()) {
    requireLength('patchEmbedding', `image ${i}`, image.length, channels * size * size);
    for (let py = 0; py < side; py++)
      for (let px = 0; px < side; px++)
        for (let channel = 0; channel < channels; channel++)
          for (let y = 0; y < patch; y++) {
            const start = channel * size * size + (py * patch + y) * size + px * patch;
            result.set(image.subarray(start, start + patch), at);
            at += patch;
          }
  }
  return result;
}
