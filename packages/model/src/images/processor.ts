/**
 * Prepares pictures for a tower as the model's `preprocessor_config.json` says and the reference processors do
 * (transformers, image_processing_pil_idefics3.py and image_processing_pil_clip.py, which resize with Pillow).
 */
import { type Config, partOf, readConfigNumbers, textOf } from '../spec/config-reader.js';
import { type Resampling, resizeImage, type RgbImage } from './resize.js';

export interface ImageProcessorSpec {
  readonly resampling: Resampling;
  /** How a picture is fitted to the tower's square. */
  readonly fit:
    | { readonly type: 'square' }
    /** Idefics3, SmolVLM: scale the longest edge to this many pixels, then scale to the square or cut into squares (`splits`). */
    | { readonly type: 'longest edge'; readonly pixels: number; readonly splits: boolean }
    /** CLIP: scale the shortest edge to this many pixels, then crop the middle. */
    | { readonly type: 'shortest edge'; readonly pixels: number };
  readonly rescale: number;
  readonly mean: readonly [number, number, number];
  readonly deviation: readonly [number, number, number];
}

const resamplings: Readonly<Record<number, Resampling>> = { 1: 'lanczos', 2: 'bilinear', 3: 'bicubic' };
const half = [0.5, 0.5, 0.5] as const;
const clipMean = [0.48145466, 0.4578275, 0.40821073] as const;
const clipDeviation = [0.26862954, 0.26130258, 0.27577711] as const;

/** The processor of a tower without a preprocessor_config.json. */
export function defaultProcessor(tower: 'siglip' | 'clip', imageSizePixels: number): ImageProcessorSpec {
  const shared = { resampling: 'bicubic', rescale: 1 / 255 } as const;
  return tower === 'siglip'
    ? { ...shared, fit: { type: 'square' }, mean: half, deviation: half }
    : {
        ...shared,
        fit: { type: 'shortest edge', pixels: imageSizePixels },
        mean: clipMean,
        deviation: clipDeviation,
      };
}

/** Reads a preprocessor_config.json. @throws ModelError listing every setting that is not supported. */
export function parseImageProcessor(
  config: Config,
  { where, tower, imageSizePixels }: { where: string; tower: 'siglip' | 'clip'; imageSizePixels: number },
): ImageProcessorSpec {
  const read = readConfigNumbers(config, where, { parser: 'parseImageProcessor' });
  const fallback = defaultProcessor(tower, imageSizePixels);
  const resampling = resamplings[Number(config['resample'] ?? (tower === 'siglip' ? 1 : 3))];
  if (!resampling)
    read.refuse(
      `"resample" is ${textOf(config['resample'])}; 1 (lanczos), 2 (bilinear) and 3 (bicubic) are supported`,
    );
  for (const key of ['do_resize', 'do_rescale', 'do_normalize'])
    if (config[key] === false) read.refuse(`"${key}" is false, which is not supported`);
  const numbers = (key: string, otherwise: readonly [number, number, number], least: number) => {
    const value = config[key] ?? otherwise;
    if (Array.isArray(value) && value.length === 3 && value.every((n) => Number.isFinite(n) && n >= least))
      return value as unknown as readonly [number, number, number];
    read.refuse(`"${key}" is ${textOf(value)}, and must be three numbers`);
    return otherwise;
  };
  const spec: ImageProcessorSpec = {
    resampling: resampling ?? 'bicubic',
    fit:
      tower === 'siglip' ? siglipFit(config, imageSizePixels, read) : clipFit(config, imageSizePixels, read),
    rescale: read.positive('rescale_factor', { fallback: 1 / 255 }),
    mean: numbers('image_mean', fallback.mean, -Infinity),
    deviation: numbers('image_std', fallback.deviation, 1e-6),
  };
  read.done();
  return spec;
}

type Read = ReturnType<typeof readConfigNumbers>;
const most = 2 ** 14;

function siglipFit(config: Config, imageSizePixels: number, read: Read): ImageProcessorSpec['fit'] {
  const size = partOf(config, 'size') ?? {};
  const tile = Number(partOf(config, 'max_image_size')?.['longest_edge'] ?? imageSizePixels);
  if (tile !== imageSizePixels)
    read.refuse(`"max_image_size" is ${tile} pixels, and the tower's images have ${imageSizePixels}`);
  const pixels = Number(size['longest_edge'] ?? 0);
  if (pixels === 0) {
    const square = [size['height'], size['width']].every((n) => n === undefined || n === imageSizePixels);
    if (!square) read.refuse(`"size" is ${textOf(size)}; it must be the tower's or name "longest_edge"`);
    return { type: 'square' };
  }
  if (!Number.isInteger(pixels) || pixels < 1 || pixels > most)
    read.refuse(`"size" asks for a longest edge of ${textOf(size['longest_edge'])} pixels`);
  return { type: 'longest edge', pixels, splits: config['do_image_splitting'] !== false };
}

function clipFit(config: Config, imageSizePixels: number, read: Read): ImageProcessorSpec['fit'] {
  const edge = (key: string, name: string) => {
    const value = config[key];
    return typeof value === 'number' ? value : Number(partOf(config, key)?.[name] ?? NaN);
  };
  const shortest = edge('size', 'shortest_edge');
  if (config['do_center_crop'] === false || Number.isNaN(shortest)) {
    const [height, width] = [edge('size', 'height'), edge('size', 'width')];
    if (height !== imageSizePixels || width !== imageSizePixels)
      read.refuse(
        `"size" is ${textOf(config['size'])}; without a crop it must be the tower's ${imageSizePixels} pixels`,
      );
    return { type: 'square' };
  }
  const crop = [edge('crop_size', 'height'), edge('crop_size', 'width')].map((n) =>
    Number.isNaN(n) ? imageSizePixels : n,
  );
  if (crop.some((n) => n !== imageSizePixels))
    read.refuse(
      `"crop_size" is ${textOf(config['crop_size'])}, and the tower's images have ${imageSizePixels} pixels`,
    );
  if (!Number.isInteger(shortest) || shortest < imageSizePixels || shortest > most)
    read.refuse(`"size" asks for a shortest edge of ${shortest} pixels`);
  return { type: 'shortest edge', pixels: shortest };
}

/**
 * The whole picture as one image of the tower, `[3, size, size]`. A picture that the processor would split stays whole, as with
 * `do_image_splitting: false`.
 */
export function processImage(image: RgbImage, spec: ImageProcessorSpec, size: number): Float32Array {
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
      const sized = resizeImage(
        image,
        width <= height
          ? { width: pixels, height: longer(height, width) }
          : { width: longer(width, height), height: pixels },
        spec.resampling,
      );
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
  size: number,
): { readonly rows: number; readonly columns: number; readonly images: readonly Float32Array[] } {
  if (spec.fit.type !== 'longest edge' || !spec.fit.splits)
    return { rows: 0, columns: 0, images: [processImage(image, spec, size)] };
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
