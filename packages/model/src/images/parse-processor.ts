/**
 * Reads the settings of an image processor (transformers' preprocessor_config.json). A setting is acted on, is one of those known to change
 * nothing, or is refused.
 */
import { type Config, type ConfigReader, partOf, readConfigNumbers, textOf } from '../spec/config-reader.js';
import { defaultProcessor, type ImageProcessorSpec } from './processor-spec.js';
import type { Resampling } from './resize.js';

const resamplings: Readonly<Record<number, Resampling>> = { 1: 'lanczos', 2: 'bilinear', 3: 'bicubic' };

/** The processors of transformers whose computation is reproduced, with the values that their classes give to missing settings. */
const families = {
  idefics3: { tower: 'siglip', resample: 1, size: { longest_edge: 4 * 364 }, toSquare: true },
  siglip: { tower: 'siglip', resample: 3, size: { height: 224, width: 224 }, toSquare: false },
  clip: { tower: 'clip', resample: 3, size: { shortest_edge: 224 }, toSquare: false },
} as const;
type Family = keyof typeof families;

/** By class, without the ending `Fast` or `Pil`. */
const familyOfClass: Readonly<Record<string, Family>> = {
  Idefics3ImageProcessor: 'idefics3',
  SmolVLMImageProcessor: 'idefics3',
  SiglipImageProcessor: 'siglip',
  CLIPImageProcessor: 'clip',
  CLIPFeatureExtractor: 'clip',
  LlavaImageProcessor: 'clip',
};

const actedOn = [
  'do_resize',
  'do_rescale',
  'do_normalize',
  'do_pad',
  'do_center_crop',
  'do_image_splitting',
  'resample',
  'rescale_factor',
  'image_mean',
  'image_std',
  'size',
  'default_to_square',
  'crop_size',
  'max_image_size',
  'data_format',
  'image_processor_type',
  'feature_extractor_type',
];

/**
 * Settings that change no pixel here: names, forms of the result, and those for pictures that are no files. Files are always converted to
 * RGB (`do_convert_rgb`), and one image of the tower's size needs no padding (`pad_size`).
 */
const withoutEffect = [
  'processor_class',
  '_valid_processor_keys',
  'do_convert_rgb',
  'pad_size',
  'input_data_format',
  'return_tensors',
  'return_row_col_info',
  'device',
  'disable_grouping',
  'image_seq_length',
  'use_fast',
  'video_sampling',
];

/** Reads a preprocessor_config.json. @throws ModelError listing every setting that is not supported. */
export function parseImageProcessor(
  config: Config,
  { where, tower, imageSizePixels }: { where: string; tower: 'siglip' | 'clip'; imageSizePixels: number },
): ImageProcessorSpec {
  const read = readConfigNumbers(config, where, { parser: 'parseImageProcessor' });
  refuseUnknown(config, read);
  const family = familyOf(config, tower, read);
  const standard = families[family];
  const fallback = defaultProcessor(tower, imageSizePixels);
  for (const key of ['do_resize', 'do_rescale', 'do_normalize'])
    if (!isOn(config, key, true, read)) read.refuse(`"${key}" is false, which is not supported`);
  const format = config['data_format'] ?? 'channels_first';
  if (format !== 'channels_first') read.refuse(`"data_format" is ${textOf(format)}, which is not supported`);
  const resample = config['resample'] ?? standard.resample;
  const resampling = typeof resample === 'number' ? resamplings[resample] : undefined;
  if (!resampling)
    read.refuse(`"resample" is ${textOf(resample)}; 1 (lanczos), 2 (bilinear) and 3 (bicubic) are supported`);
  const target: Target = { config, imageSizePixels, read, family };
  const spec: ImageProcessorSpec = {
    resampling: resampling ?? 'bicubic',
    fit: family === 'clip' ? clipFit(target) : siglipFit(target),
    rescale: read.positive('rescale_factor', { fallback: 1 / 255 }),
    mean: threeNumbers(target, 'image_mean', { otherwise: fallback.mean, least: -Infinity }),
    deviation: threeNumbers(target, 'image_std', { otherwise: fallback.deviation, least: 1e-6 }),
  };
  read.done();
  return spec;
}

/** A setting without a value has the default of its class, so it cannot matter. */
function refuseUnknown(config: Config, read: ConfigReader): void {
  const known = new Set([...actedOn, ...withoutEffect]);
  for (const [key, value] of Object.entries(config))
    if (!known.has(key) && value !== null)
      read.refuse(`the setting "${key}" is unknown, and might change the pictures`);
}

function familyOf(config: Config, tower: 'siglip' | 'clip', read: ConfigReader): Family {
  // Only SigLIP's own processor scales to a square alone.
  const isSquare = Object.hasOwn(partOf(config, 'size') ?? {}, 'height');
  const standard = tower === 'clip' ? 'clip' : isSquare ? 'siglip' : 'idefics3';
  const type = config['image_processor_type'] ?? config['feature_extractor_type'];
  if (type === undefined || type === null) return standard;
  const name = textOf(type).replace(/(?:Fast|Pil)$/, '');
  const family = Object.hasOwn(familyOfClass, name) ? familyOfClass[name] : undefined;
  if (family && families[family].tower === tower) return family;
  const supported = Object.entries(familyOfClass).filter(([, of]) => families[of].tower === tower);
  read.refuse(
    `the image processor is a ${textOf(type)}; for this tower ${supported.map(([known]) => known).join(', ')} are supported`,
  );
  return standard;
}

interface Target {
  readonly config: Config;
  readonly imageSizePixels: number;
  readonly read: ConfigReader;
  readonly family: Family;
}

function isOn(config: Config, key: string, standard: boolean, read: ConfigReader): boolean {
  const value = config[key] ?? standard;
  if (typeof value !== 'boolean') read.refuse(`"${key}" is ${textOf(value)}, and must be true or false`);
  return value !== false;
}

/** One number stands for all three channels. */
function threeNumbers(
  { config, read }: Target,
  key: string,
  { otherwise, least }: { otherwise: readonly [number, number, number]; least: number },
): readonly [number, number, number] {
  const given = config[key] ?? otherwise;
  const value: unknown = typeof given === 'number' ? [given, given, given] : given;
  if (Array.isArray(value) && value.length === 3 && value.every((n) => Number.isFinite(n) && n >= least))
    return value as unknown as readonly [number, number, number];
  read.refuse(`"${key}" is ${textOf(value)}, and must be three numbers`);
  return otherwise;
}

/** The settings of a size that have a value, as transformers reads them: a number is a square's edge or the shortest edge. */
function sizeOf(value: unknown, toSquare: boolean): Config {
  if (typeof value === 'number') return toSquare ? { height: value, width: value } : { shortest_edge: value };
  const part = partOf({ value }, 'value');
  return part ? Object.fromEntries(Object.entries(part).filter(([, n]) => n !== null)) : {};
}

const hasOnly = (size: Config, ...keys: readonly string[]) =>
  Object.keys(size).length === keys.length && keys.every((key) => Object.hasOwn(size, key));
const isEdge = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 2 ** 14;

function givenSize({ config, family, read }: Target): Config {
  const { toSquare, size } = families[family];
  const square = config['default_to_square'];
  if (square !== undefined && square !== null && typeof square !== 'boolean')
    read.refuse(`"default_to_square" is ${textOf(square)}, and must be true or false`);
  return sizeOf(config['size'] ?? size, typeof square === 'boolean' ? square : toSquare);
}

/** Idefics3, SmolVLM and SigLIP. */
function siglipFit(target: Target): ImageProcessorSpec['fit'] {
  const { config, imageSizePixels, read, family } = target;
  if (isOn(config, 'do_center_crop', false, read))
    read.refuse('"do_center_crop" is true, which is not supported for this tower');
  const pads = isOn(config, 'do_pad', family === 'idefics3', read);
  if (pads && family === 'siglip') read.refuse('"do_pad" is true, which is not supported');
  const splits = isOn(config, 'do_image_splitting', family === 'idefics3', read);
  const tile = config['max_image_size'] ?? (family === 'idefics3' ? { longest_edge: 364 } : undefined);
  if (tile !== undefined) {
    const edge = sizeOf(tile, true);
    if (!hasOnly(edge, 'longest_edge') || edge['longest_edge'] !== imageSizePixels)
      read.refuse(
        `"max_image_size" is ${textOf(edge['longest_edge'] ?? tile)} pixels, and the tower's images have ${imageSizePixels}`,
      );
  }
  const size = givenSize(target);
  if (family === 'idefics3' && hasOnly(size, 'longest_edge')) {
    const pixels = size['longest_edge'];
    if (!isEdge(pixels)) read.refuse(`"size" asks for a longest edge of ${textOf(pixels)} pixels`);
    return { type: 'longest edge', pixels: isEdge(pixels) ? pixels : 1, splits };
  }
  if (!isTowers(size, imageSizePixels))
    read.refuse(`"size" is ${textOf(config['size'] ?? size)}; it must be the tower's or name "longest_edge"`);
  return { type: 'square' };
}

/** CLIP and LLaVA. */
function clipFit(target: Target): ImageProcessorSpec['fit'] {
  const { config, imageSizePixels, read } = target;
  if (isOn(config, 'do_pad', false, read))
    read.refuse('"do_pad" is true: pictures padded to a square are not supported');
  if (isOn(config, 'do_image_splitting', false, read) || (config['max_image_size'] ?? null) !== null)
    read.refuse('"do_image_splitting" and "max_image_size" are not supported for this tower');
  const crops = isOn(config, 'do_center_crop', true, read);
  const crop = sizeOf(config['crop_size'] ?? 224, true);
  if (crops && !isTowers(crop, imageSizePixels))
    read.refuse(
      `"crop_size" is ${textOf(config['crop_size'] ?? 224)}, and the tower's images have ${imageSizePixels} pixels`,
    );
  const size = givenSize(target);
  const shortest = size['shortest_edge'];
  if (crops && hasOnly(size, 'shortest_edge')) {
    if (isEdge(shortest) && shortest >= imageSizePixels) return { type: 'shortest edge', pixels: shortest };
    read.refuse(`"size" asks for a shortest edge of ${textOf(shortest)} pixels`);
  } else if (!isTowers(size, imageSizePixels))
    read.refuse(
      `"size" is ${textOf(config['size'] ?? size)}; ${crops ? 'it must name "shortest_edge" alone or' : 'without a crop it must'} be the tower's ${imageSizePixels} pixels`,
    );
  return { type: 'square' };
}

const isTowers = (size: Config, imageSizePixels: number) =>
  hasOnly(size, 'height', 'width') && size['height'] === imageSizePixels && size['width'] === imageSizePixels;
