/** A store of the vision tower's output per image; the tower is frozen, so each image is computed once. */
import type { LoadedModel } from '../checkpoint/load-model.js';
import { ModelError } from '../model-error.js';
import { visionFeatures } from '../pass/vision-tower.js';
import type { Example } from '../text/example.js';
import { readImage } from './read-picture.js';

export interface ImageFeatures {
  /** The features `[image tokens, wide]` of each path; computes those that are not stored yet. */
  get(paths: readonly string[]): Promise<Float32Array[]>;
  /** Computes features in advance and yields the number of paths done. */
  warm(paths: readonly string[]): AsyncGenerator<{ done: number; total: number }>;
}

export interface ImageFeaturesOptions {
  readonly batchSize?: number;
  /** The size limit of the store; the oldest features are dropped first. */
  readonly maximumBytes?: number;
}

/** Opens a store of features for one model. @throws ModelError from `get` and `warm` when the model has no vision tower. */
export function openImageFeatures(
  { vision, spec, kernels }: LoadedModel,
  { batchSize = 64, maximumBytes = 2 ** 30 }: ImageFeaturesOptions = {},
): ImageFeatures {
  const kept = new Map<string, Float32Array>();
  let keptBytes = 0;

  const compute = async (paths: readonly string[]) => {
    if (!vision || !spec.vision)
      throw new ModelError(
        'MODEL_UNSUPPORTED',
        'imageFeatures',
        'the model has no vision tower, but an example has an image; use a model with one',
      );
    const tower = spec.vision;
    const images = await Promise.all(paths.map((path) => readImage(path, tower)));
    const computed = await visionFeatures(images, vision, { spec: tower, kernels });
    for (const [i, path] of paths.entries()) {
      const features = computed[i] ?? new Float32Array();
      kept.set(path, features);
      keptBytes += features.byteLength;
    }
    for (const [path, features] of kept) {
      if (keptBytes <= maximumBytes || paths.includes(path)) break;
      kept.delete(path);
      keptBytes -= features.byteLength;
    }
  };
  const missingOf = (paths: readonly string[]) => [...new Set(paths)].filter((path) => !kept.has(path));

  return {
    async get(paths) {
      const found = new Map<string, Float32Array>();
      for (let at = 0; at < paths.length; at += batchSize) {
        const slice = paths.slice(at, at + batchSize);
        const missing = missingOf(slice);
        if (missing.length > 0) await compute(missing);
        for (const path of slice) found.set(path, kept.get(path) ?? new Float32Array());
      }
      return paths.map((path) => found.get(path) ?? new Float32Array());
    },
    async *warm(paths) {
      const missing = missingOf(paths);
      for (let at = 0; at < missing.length; at += batchSize) {
        const slice = missing.slice(at, at + batchSize);
        await compute(slice);
        yield { done: at + slice.length, total: missing.length };
      }
    },
  };
}

/** The features of each example's image, or undefined for an example without one. */
export async function imageFeaturesOf(
  examples: readonly Pick<Example, 'image'>[],
  features: ImageFeatures,
): Promise<(Float32Array | undefined)[]> {
  const paths = examples.flatMap(({ image }) => (image === undefined ? [] : [image]));
  const found = await features.get(paths);
  let next = 0;
  return examples.map(({ image }) => (image === undefined ? undefined : found[next++]));
}
