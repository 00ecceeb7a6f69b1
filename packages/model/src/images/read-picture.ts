/** Reads picture files for a vision tower. */
import { ModelError } from '../model-error.js';
import { type MediaSource, nameOfMedia, readMediaFile } from '../read-media-file.js';
import type { VisionSpec } from '../spec/vision-spec.js';
import { decodePicture } from './decode-picture.js';
import { nameOfFile } from './file-signatures.js';
import { readJpegHeader } from './jpeg-header.js';
import { type PictureHeader, unsupportedPicture } from './picture-header.js';
import { pngSignature, readPngHeader } from './png-header.js';
import { processImage, splitImage } from './processor.js';
import type { RgbImage } from './resize.js';
import { readWebpHeader } from './webp-header.js';

const mostPixels = 64e6;

/** The path of a picture, or its bytes under a name that messages give it. */
export type PictureSource = MediaSource;

/**
 * Reads a PNG, JPEG or WebP file, which its content and not its name must prove, to the pixels of Pillow's `convert("RGB")`: upright,
 * without transparency, and without colour management. At most 64 million pixels.
 *
 * @throws ModelError when the file cannot be opened, is damaged or cut short, is an animation or of another format, or is too large.
 */
export async function readPicture(source: PictureSource): Promise<RgbImage> {
  const { bytes, header } = await openPicture(source);
  // Decoding rearranges the bytes, and these are the caller's.
  return decodePicture(typeof source === 'string' ? bytes : Buffer.from(bytes), header, nameOfMedia(source));
}

/**
 * Checks that a file is a picture that is read, without decoding its pixels, and returns its size as stored.
 *
 * @throws ModelError as `readPicture`, except for damage within the compressed pixels of a JPEG or WebP.
 */
export async function checkPicture(
  source: PictureSource,
): Promise<{ readonly width: number; readonly height: number }> {
  const { width, height } = (await openPicture(source)).header;
  return { width, height };
}

async function openPicture(source: PictureSource): Promise<{ bytes: Buffer; header: PictureHeader }> {
  const path = nameOfMedia(source);
  const bytes = await readMediaFile(source, {
    where: 'readPicture',
    kind: 'picture',
    unsupported: unsupportedPicture,
  });
  const header = readHeader(bytes, path);
  const { width, height } = header;
  if (width * height > mostPixels)
    throw new ModelError(
      'MODEL_UNSUPPORTED',
      'readPicture',
      `cannot read ${path} as a picture: it has ${width} × ${height} pixels, and at most ${mostPixels / 1e6} million are read; make it smaller`,
    );
  return { bytes, header };
}

function readHeader(bytes: Buffer, path: string): PictureHeader {
  if (bytes.subarray(0, 8).equals(pngSignature)) return readPngHeader(bytes, path);
  if (bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff) return readJpegHeader(bytes, path);
  if (/^RIFF[^]{4}WEBP/.test(bytes.toString('latin1', 0, 12))) return readWebpHeader(bytes, path);
  throw unsupportedPicture(path, `it is ${nameOfFile(bytes)}`);
}

/** Reads a picture and processes it to one normalised image, `[3, size, size]`. */
export async function readImage(
  source: PictureSource,
  { imageSizePixels, processor }: Pick<VisionSpec, 'imageSizePixels' | 'processor'>,
): Promise<Float32Array> {
  return processImage(await readPicture(source), processor, {
    size: imageSizePixels,
    name: nameOfMedia(source),
  });
}

/** Reads a picture and splits it into the images of its tiles, row by row, and of the whole; one image if the processor does not split. */
export async function readImageTiles(
  path: string,
  { imageSizePixels, processor }: Pick<VisionSpec, 'imageSizePixels' | 'processor'>,
): Promise<{ readonly rows: number; readonly columns: number; readonly images: readonly Float32Array[] }> {
  return splitImage(await readPicture(path), processor, { size: imageSizePixels, name: path });
}
