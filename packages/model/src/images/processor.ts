/**
 * Prepares pictures for a tower as the model's processor and the reference processors do
 * (transformers, image_processing_pil_idefics3.py and image_processing_pil_clip.py, which resize with Pillow).
 */
import { ModelError } from '../model-error.js';
import type { ImageProcessorSpec } from './processor-spec.js';
import { resizeImage, type RgbImage } from './resize.js';

/**
 * The whole picture as one image of the tower, `[3, size, size]`. A picture that the processor would split stays whole, as with
 * `do_image_splitting: false`. Messages name the picture.
 *
 * @throws ModelError when the picture is so narrow that it would be scaled to more than 64 million pixels.
 */
export function processImage(
  image: RgbImage,
  spec: ImageProcessorSpec,
  { size, name }: { readonly size: number; readonly name: string },
): Float32Array {
  const square = { width: size, height: size };
  switch (spec.fit.type) {
    case 'square':
      return normalise(resizeImage(image, square, spec.resampling), spec);
    case 'longest edge':
      return normalise(
        resizeImage(
          resizeImage(image, longestEdge(image, spec.fit.pixels), spec.resampling),
          square,
          spec.resampling,
        ),
        spec,
      );
    case 'shortest edge': {
      const { pixels } = spec.fit;
      const longer = (long: number, short: number) => Math.trunc((pixels * long) / short);
      const { width, height } = image;
      const scaled =
        width <= height
          ? { width: pixels, height: longer(height, width) }
          : { width: longer(width, height), height: pixels };
      if (scaled.width * scaled.height > mostScaledPixels)
        throw new ModelError(
          'MODEL_UNSUPPORTED',
          'readImage',
          `${name} has ${width} × ${height} pixels, and would be scaled to ${scaled.width} × ${scaled.height}; crop it`,
        );
      const sized = resizeImage(image, scaled, spec.resampling);
      const at = { x: Math.floor((sized.width - size) / 2), y: Math.floor((sized.height - size) / 2) };
      return normalise(crop(sized, at, size), spec);
    }
  }
}

/**
 * Cuts a picture into tiles of the tower's size, row by row, followed by the whole picture, if the processor splits (Idefics3, SmolVLM).
 * A picture no larger than a tile gives one image.
 */
export function splitImage(
  image: RgbImage,
  spec: ImageProcessorSpec,
  { size, name }: { readonly size: number; readonly name: string },
): { readonly rows: number; readonly columns: number; readonly images: readonly Float32Array[] } {
  if (spec.fit.type !== 'longest edge' || !spec.fit.splits)
    return { rows: 0, columns: 0, images: [processImage(image, spec, { size, name })] };
  const resize = (from: RgbImage, to: { width: number; height: number }) =>
    resizeImage(from, to, spec.resampling);
  const sized = resize(image, longestEdge(image, spec.fit.pixels));
  const whole = (n: number) => Math.ceil(n / size) * size;
  const aspect = sized.width / sized.height;
  const [width, height] =
    sized.width >= sized.height
      ? [whole(sized.width), whole(Math.trunc(whole(sized.width) / aspect))]
      : [whole(Math.trunc(whole(sized.height) * aspect)), whole(sized.height)];
  const full = resize(sized, { width, height });
  const [rows, columns] = [height / size, width / size];
  if (rows === 1 && columns === 1) return { rows: 0, columns: 0, images: [normalise(full, spec)] };
  const tiles = Array.from({ length: rows * columns }, (_, i) =>
    normalise(crop(full, { x: (i % columns) * size, y: Math.floor(i / columns) * size }, size), spec),
  );
  return { rows, columns, images: [...tiles, normalise(resize(full, { width: size, height: size }), spec)] };
}

const mostScaledPixels = 64e6;
const largestEdge = 4096;

/** The size whose longest edge has `pixels`, the other edge rounded up to an even number; both at most 4096. */
function longestEdge({ width, height }: RgbImage, pixels: number): { width: number; height: number } {
  const even = (n: number) => Math.max(1, n + (n % 2));
  const aspect = width / height;
  const sized =
    width >= height
      ? { width: pixels, height: even(Math.trunc(pixels / aspect)) }
      : { width: even(Math.trunc(pixels * aspect)), height: pixels };
  if (Math.max(sized.width, sized.height) <= largestEdge) return sized;
  const again = sized.width / sized.height;
  return sized.width >= sized.height
    ? { width: largestEdge, height: Math.max(1, Math.trunc(largestEdge / again)) }
    : { width: Math.max(1, Math.trunc(largestEdge * again)), height: largestEdge };
}

function crop({ width, pixels }: RgbImage, { x, y }: { x: number; y: number }, size: number): RgbImage {
  const result = new Uint8Array(size * size * 3);
  for (let row = 0; row < size; row++) {
    const start = ((y + row) * width + x) * 3;
    result.set(pixels.subarray(start, start + size * 3), row * size * 3);
  }
  return { width: size, height: size, pixels: result };
}

/** (x · rescale − mean) / deviation, channel by channel. */
function normalise(
  { width, height, pixels }: RgbImage,
  { rescale, mean, deviation }: ImageProcessorSpec,
): Float32Array {
  const plane = width * height;
  const values = new Float32Array(3 * plane);
  for (let channel = 0; channel < 3; channel++)
    for (let i = 0; i < plane; i++)
      values[channel * plane + i] =
        (pixels[3 * i + channel]! * rescale - mean[channel]!) / deviation[channel]!;
  return values;
}
