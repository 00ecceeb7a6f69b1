/** A picture file as a vision tower wants it. */
import sharp from 'sharp';

import { ModelError } from './model-error.js';
import type { VisionSpec } from './vision-spec.js';

const maximumPixels = 64e6;

/** Reads PNG, JPEG or WebP, resizes to the tower's square, and normalises to (x/255 − 0.5)/0.5, `[3, size, size]`. */
export async function readImage(path: string, { imageSizePixels: size }: VisionSpec): Promise<Float32Array> {
  let bytes: Uint8Array;
  try {
    const image = sharp(path, { limitInputPixels: maximumPixels });
    const { width, height } = await image.metadata();
    // A picture that already has the size is taken as it is, to the bit.
    const sized =
      width === size && height === size ? image : image.resize(size, size, { fit: 'fill', kernel: 'cubic' });
    bytes = await sized.removeAlpha().toColourspace('srgb').raw().toBuffer();
  } catch (cause) {
    throw new ModelError(
      'readImage',
      `cannot read ${path} as a picture (${(cause as Error).message}); PNG, JPEG and WebP are read`,
      { cause },
    );
  }
  const plane = size * size;
  const channels = bytes.length / plane;
  const values = new Float32Array(3 * plane);
  for (let i = 0; i < plane; i++)
    for (let channel = 0; channel < 3; channel++)
      values[channel * plane + i] =
        ((bytes[i * channels + (channels >= 3 ? channel : 0)] ?? 0) / 255 - 0.5) / 0.5;
  return values;
}
