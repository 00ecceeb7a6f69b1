/** Decodes the pixels of a picture whose header was read, to those of Pillow's `convert("RGB")`. */
import sharp from 'sharp';

import { damagedPicture, type PictureHeader } from './picture-header.js';
import type { RgbImage } from './resize.js';

/** Decodes and turns upright. It rearranges `bytes`, which must not be used afterwards. @throws ModelError when the pixels are damaged. */
export async function decodePicture(bytes: Buffer, header: PictureHeader, path: string): Promise<RgbImage> {
  const { width, height, samples } = header;
  const input = sharp(onlyParts(bytes, header), { limitInputPixels: false, ignoreIcc: true });
  const pipeline =
    samples === 'cmyk'
      ? input.pipelineColourspace('cmyk').toColourspace('cmyk').raw()
      : samples === 'grey16'
        ? input.toColourspace('grey16').raw({ depth: 'ushort' })
        : input.removeAlpha().toColourspace('srgb').raw();
  const { data, info } = await pipeline.toBuffer({ resolveWithObject: true }).catch((cause: unknown) => {
    // libvips repeats the line for each warning.
    const [reason = ''] = (cause as Error).message.split('\n');
    throw damagedPicture(path, `it is a damaged ${header.format}: ${reason}`, { cause });
  });
  if (info.width !== width || info.height !== height)
    throw damagedPicture(path, `it is a damaged ${header.format}: its header and its pixels differ in size`);
  const raw = new Uint8Array(data.buffer, data.byteOffset, data.length);
  return upright({ width, height, pixels: toRgb(raw, info.channels, samples) }, header.orientation);
}

/** Moves the parts that make pixels together, within the buffer: a picture of 200 MB is not copied. */
function onlyParts(bytes: Buffer, { format, parts }: PictureHeader): Buffer {
  let length = 0;
  for (const [start, end] of parts) {
    bytes.copyWithin(length, start, end);
    length += end - start;
  }
  if (format === 'WebP') bytes.writeUInt32LE(length - 8, 4);
  return bytes.subarray(0, length);
}

function toRgb(raw: Uint8Array, channels: number, samples: PictureHeader['samples']): Uint8Array {
  if (samples === 'cmyk') return cmykToRgb(raw);
  if (samples === 'colour' && channels === 3) return raw;
  const step = samples === 'grey16' ? 2 * channels : channels;
  const pixels = new Uint8Array((raw.length / step) * 3);
  for (let from = 0, to = 0; from < raw.length; from += step, to += 3)
    // Pillow clips 16-bit grey to 255 and does not scale it.
    pixels.fill(samples === 'grey16' && raw[from + 1] !== 0 ? 255 : raw[from]!, to, to + 3);
  return pixels;
}

/** As Pillow's Convert.c, cmyk2rgb; within the buffer. */
function cmykToRgb(raw: Uint8Array): Uint8Array {
  let to = 0;
  for (let from = 0; from < raw.length; from += 4) {
    const light = 255 - raw[from + 3]!;
    for (let channel = 0; channel < 3; channel++) {
      const product = raw[from + channel]! * light + 128;
      raw[to++] = light - (((product >> 8) + product) >> 8);
    }
  }
  return raw.subarray(0, to);
}

/** Where pixel (x, y) of the upright picture lies, for each orientation from 2 on: x and y of the stored one from its last pixels. */
const sources: Readonly<
  Record<number, (x: number, y: number, right: number, bottom: number) => [number, number]>
> = {
  2: (x, y, right) => [right - x, y],
  3: (x, y, right, bottom) => [right - x, bottom - y],
  4: (x, y, _right, bottom) => [x, bottom - y],
  5: (x, y) => [y, x],
  6: (x, y, _right, bottom) => [y, bottom - x],
  7: (x, y, right, bottom) => [right - y, bottom - x],
  8: (x, y, right) => [right - y, x],
};

function upright(image: RgbImage, orientation: number): RgbImage {
  const source = sources[orientation];
  if (!source) return image;
  const { width, height, pixels } = image;
  const turned = orientation >= 5 ? { width: height, height: width } : { width, height };
  const result = new Uint8Array(pixels.length);
  let to = 0;
  for (let y = 0; y < turned.height; y++)
    for (let x = 0; x < turned.width; x++) {
      const [column, row] = source(x, y, width - 1, height - 1);
      const from = 3 * (row * width + column);
      result[to++] = pixels[from]!;
      result[to++] = pixels[from + 1]!;
      result[to++] = pixels[from + 2]!;
    }
  return { ...turned, pixels: result };
}
