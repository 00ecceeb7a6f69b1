/** Reads picture files for a vision tower. */
import sharp from 'sharp';

import { ModelError } from '../model-error.js';
import type { VisionSpec } from '../spec/vision-spec.js';
import { processImage, splitImage } from './processor.js';
import type { RgbImage } from './resize.js';

const maximumPixels = 64e6;

/** Reads a PNG, JPEG or WebP file upright and without transparency. @throws ModelError when it cannot be read or is too large. */
export async function readPicture(path: string): Promise<RgbImage> {
  try {
    const { data, info } = await sharp(path, { limitInputPixels: maximumPixels })
      .autoOrient()
      .removeAlpha()
      .toColourspace('srgb')
      .raw()
      .toBuffer({ resolveWithObject: true });
    const { width, height, channels } = info;
    if (channels === 3) return { width, height, pixels: new Uint8Array(data) };
    const pixels = new Uint8Array(width * height * 3);
    for (let i = 0; i < pixels.length; i++) pixels[i] = data[Math.floor(i / 3) * channels] ?? 0;
    return { width, height, pixels };
  } catch (cause) {
    throw new ModelError(
      'MODEL_FILE_DAMAGED',
      'readPicture',
      `cannot read ${path} as a picture (${(cause as Error).message}); PNG, JPEG and WebP are read`,
      { cause },
    );
  }
}

/** Reads a picture and processes it to one normalised image, `[3, size, size]`. */
export async function readImage(
  path: string,
  { imageSizePixels, processor }: Pick<VisionSpec, 'imageSizePixels' | 'processor'>,
): Promise<Float32Array> {
  return processImage(await readPicture(path), processor, imageSizePixels);
}

/** Reads a picture and splits it into the images of its tiles, row by row, and of the whole; one image if the processor does not split. */
export async function readImageTiles(
  path: string,
  { imageSizePixels, processor }: Pick<VisionSpec, 'imageSizePixels' | 'processor'>,
): Promise<{ readonly rows: number; readonly columns: number; readonly images: readonly Float32Array[] }> {
  return splitImage(await readPicture(path), processor, imageSizePixels);
}
