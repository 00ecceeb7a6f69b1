/** Stores of the towers' output per picture and per sound; the towers are frozen, so each file is computed once. */
import type { LoadedLayers } from '../checkpoint/loaded-layers.js';
import { type FeatureStore, openFeatureStore } from '../features/feature-store.js';
import { ModelError } from '../model-error.js';
import { audioFeatures } from '../pass/audio-tower.js';
import { visionFeatures } from '../pass/vision-tower.js';
import { heardTokens } from '../sounds/audio-text.js';
import { readWave } from '../sounds/read-sound.js';
import { readImage } from './read-picture.js';

/** Of pictures, `[image tokens, wide]` each, and of sounds. */
export interface ImageFeatures {
  get: FeatureStore['get'];
  warm: FeatureStore['warm'];
  /** `[audio tokens, hidden]` of each sound. */
  readonly sounds: FeatureStore;
}

export interface ImageFeaturesOptions {
  /** The most images that the tower reads at once. */
  readonly batchSize?: number;
  /** The size limit of each store; the oldest features are dropped first. A `get` may ask for more than this. */
  readonly maximumBytes?: number;
}

/** The normalised images that the tower reads at once; SmolVLM's 512 × 512 pixels are 3 MiB. */
const mostInputBytes = 2 ** 24;

/**
 * Opens stores of features for one model. Pictures and sounds are read one after the other, so that only one is in memory as pixels.
 *
 * @throws ModelError when an option is not a number that makes sense; from `get` and `warm` when the model has no such tower, or a file cannot be read.
 */
export function openImageFeatures(
  { vision, audio, spec, kernels }: Pick<LoadedLayers, 'vision' | 'audio' | 'spec' | 'kernels'>,
  { batchSize = 64, maximumBytes = 2 ** 30 }: ImageFeaturesOptions = {},
): ImageFeatures {
  if (!Number.isInteger(batchSize) || batchSize < 1 || !(maximumBytes >= 0))
    throw new ModelError(
      'MODEL_INPUT_INVALID',
      'openImageFeatures',
      `"batchSize" is ${batchSize} and "maximumBytes" is ${maximumBytes}; they must be a positive integer and a number of at least 0`,
    );
  const look = async (paths: readonly string[]): Promise<Map<string, Float32Array | Error>> => {
    if (!vision || !spec.vision)
      throw new ModelError(
        'MODEL_UNSUPPORTED',
        'imageFeatures',
        'the model has no vision tower, but an example has an image; use a model with one',
      );
    const images = new Map<string, Float32Array>();
    const failures: [string, Error][] = [];
    for (const path of paths)
      try {
        images.set(path, await readImage(path, spec.vision));
      } catch (error) {
        failures.push([path, error as Error]);
      }
    const found =
      images.size === 0
        ? []
        : await visionFeatures([...images.values()], vision, { spec: spec.vision, kernels });
    return new Map<string, Float32Array | Error>([
      ...[...images.keys()].map((path, i) => [path, found[i]!] as const),
      ...failures,
    ]);
  };

  const hear = async (paths: readonly string[]): Promise<Map<string, Float32Array | Error>> => {
    const outcomes = new Map<string, Float32Array | Error>();
    for (const path of paths)
      outcomes.set(path, await hearSound(path).catch((error: unknown) => error as Error));
    return outcomes;
  };
  const hearSound = async (path: string): Promise<Float32Array> => {
    if (!audio || !spec.audio)
      throw new ModelError(
        'MODEL_UNSUPPORTED',
        'features',
        'the model has no audio tower, but an example has a sound; use a model with one',
      );
    const wave = await readWave(path);
    heardTokens({ spec }, wave.length, path);
    return audioFeatures(wave, audio, { spec: spec.audio, kernels });
  };

  const imageBytes = 12 * (spec.vision?.imageSizePixels ?? 1) ** 2;
  const size = Math.max(1, Math.min(batchSize, Math.floor(mostInputBytes / imageBytes)));
  return {
    ...openFeatureStore({ size, maximumBytes, files: 'pictures', compute: look }),
    // One after the other: sounds differ in length, and each fills the tower.
    sounds: openFeatureStore({ size: 1, maximumBytes, files: 'sounds', compute: hear }),
  };
}

/** The features of each example's image and sound, undefined for an example without one. */
export async function featuresOf(
  examples: readonly { readonly image?: string | undefined; readonly audio?: string | undefined }[],
  features: ImageFeatures,
): Promise<Record<'images' | 'sounds', (Float32Array | undefined)[]>> {
  return {
    images: await allOf(
      examples.map(({ image }) => image),
      features,
    ),
    sounds: await allOf(
      examples.map(({ audio }) => audio),
      features.sounds,
    ),
  };
}

async function allOf(
  paths: readonly (string | undefined)[],
  store: Pick<FeatureStore, 'get'>,
): Promise<(Float32Array | undefined)[]> {
  const found = await store.get(paths.filter((path) => path !== undefined));
  let next = 0;
  return paths.map((path) => (path === undefined ? undefined : found[next++]));
}
