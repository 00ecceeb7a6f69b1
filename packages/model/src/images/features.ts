/** The vision tower's output per image, computed once and kept: the tower is frozen. */
import type { LoadedModel } from '../checkpoint/load-model.js';
import { ModelError } from '../model-error.js';
import { readImage } from './read-picture.js';
import { visionFeatures } from '../pass/vision-tower.js';

export interface ImageFeatures {
  /** Features `[image tokens, wide]` of each path, computing what is not kept yet. */
  get(paths: readonly string[]): Promise<Float32Array[]>;
  /** Computes features ahead, yielding how many of the paths are done. */
  warm(paths: readonly string[]): AsyncGenerator<{ done: number; total: number }>;
}

export interface ImageFeaturesOptions {
  readonly batchSize?: number;
  /** What is kept at most; the oldest goes first. */
  readonly maximumBytes?: number;
}

/** Opens a store of features for one model. */
export function openImageFeatures(
  { vision, spec, kernels }: LoadedModel,
  { batchSize = 64, maximumBytes = 2 ** 30 }: ImageFeaturesOptions = {},
): ImageFeatures {
  const kept = new Map<string, Float32Array>();
  let keptBytes = 0;

  const compute = async (paths: readonly string[]) => {
    if (!vision || !spec.vision)
      throw new ModelError(
        'imageFeatures',
        'the model has no vision tower, and an example has an image; use a model with one',
      );
    const tower = spec.vision;
    const images = await Promise.all(paths.map((path) => readImage(path, tower)));
    const computed = await visionFeatures(images, vision, { spec: tower, kernels });
    for (const [i, features] of computed.entries()) {
      kept.set(paths[i]!, features);
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
