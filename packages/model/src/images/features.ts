/** A store of the vision tower's output per image; the tower is frozen, so each image is computed once. */
import type { LoadedLayers } from '../checkpoint/loaded-layers.js';
import { listProblems, ModelError } from '../model-error.js';
import { visionFeatures } from '../pass/vision-tower.js';
import { readImage } from './read-picture.js';

export interface ImageFeatures {
  /** The features `[image tokens, wide]` of each path; computes those that are not stored. Nobody may write into them. */
  get(paths: readonly string[]): Promise<Float32Array[]>;
  /** Computes features in advance and yields the number of paths done. */
  warm(paths: readonly string[]): AsyncGenerator<{ done: number; total: number }>;
}

export interface ImageFeaturesOptions {
  /** The most images that the tower reads at once. */
  readonly batchSize?: number;
  /** The size limit of the store; the oldest features are dropped first. A `get` may ask for more than this. */
  readonly maximumBytes?: number;
}

/** The normalised images that the tower reads at once; SmolVLM's 512 × 512 pixels are 3 MiB. */
const mostInputBytes = 2 ** 24;

/**
 * Opens a store of features for one model. Pictures are read one after the other, so that only one is in memory as pixels.
 *
 * @throws ModelError when an option is not a number that makes sense; from `get` and `warm` when the model has no vision tower, or a picture cannot be read.
 */
export function openImageFeatures(
  { vision, spec, kernels }: Pick<LoadedLayers, 'vision' | 'spec' | 'kernels'>,
  { batchSize = 64, maximumBytes = 2 ** 30 }: ImageFeaturesOptions = {},
): ImageFeatures {
  if (!Number.isInteger(batchSize) || batchSize < 1 || !(maximumBytes >= 0))
    throw new ModelError(
      'MODEL_INPUT_INVALID',
      'openImageFeatures',
      `"batchSize" is ${batchSize} and "maximumBytes" is ${maximumBytes}; they must be a positive integer and a number of at least 0`,
    );
  const kept = new Map<string, Float32Array>();
  let keptBytes = 0;
  /** Features being computed, so that two calls at once compute them once. */
  const pending = new Map<string, Promise<Float32Array>>();
  let last: Promise<unknown> = Promise.resolve();

  const keep = (path: string, features: Float32Array) => {
    if (features.byteLength > maximumBytes) return;
    kept.set(path, features);
    keptBytes += features.byteLength;
    for (const [oldest, { byteLength }] of kept) {
      if (keptBytes <= maximumBytes) break;
      kept.delete(oldest);
      keptBytes -= byteLength;
    }
  };

  /** What became of each path: its features, or why there are none. */
  const compute = async (paths: readonly string[]): Promise<Map<string, Float32Array | Error>> => {
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

  /** Starts to compute the paths, after all that was started before: several batches at once would need memory for each. */
  const start = (paths: readonly string[]) => {
    const batch = last.then(() => compute(paths));
    last = batch.catch(() => undefined);
    for (const path of paths) {
      const one = batch.then((outcomes) => {
        const outcome = outcomes.get(path)!;
        if (outcome instanceof Error) throw outcome;
        return outcome;
      });
      pending.set(path, one);
      one.then(
        (features) => {
          pending.delete(path);
          keep(path, features);
        },
        () => pending.delete(path),
      );
    }
  };

  const imageBytes = 12 * (spec.vision?.imageSizePixels ?? 1) ** 2;
  const size = Math.max(1, Math.min(batchSize, Math.floor(mostInputBytes / imageBytes)));

  /** The features of at most one batch of paths. */
  const getBatch = async (paths: readonly string[]): Promise<(readonly [string, Float32Array])[]> => {
    const missing = paths.filter((path) => !kept.has(path) && !pending.has(path));
    // What is stored now may be dropped while the rest is computed.
    const found = paths.map((path) => kept.get(path));
    if (missing.length > 0) start(missing);
    const settled = await Promise.allSettled(
      paths.map((path, i) => Promise.resolve(found[i] ?? pending.get(path)!)),
    );
    const problems = settled.flatMap((one) => (one.status === 'rejected' ? [one.reason as Error] : []));
    if (problems.length > 0) throw allOf(problems);
    return settled.map((one, i) => [paths[i]!, (one as PromiseFulfilledResult<Float32Array>).value] as const);
  };

  return {
    async get(paths) {
      const found = new Map<string, Float32Array>();
      const distinct = [...new Set(paths)];
      for (let at = 0; at < distinct.length; at += size)
        for (const [path, features] of await getBatch(distinct.slice(at, at + size)))
          found.set(path, features);
      return paths.map((path) => found.get(path)!);
    },
    async *warm(paths) {
      const missing = [...new Set(paths)].filter((path) => !kept.has(path));
      for (let at = 0; at < missing.length; at += size) {
        const slice = missing.slice(at, at + size);
        await getBatch(slice);
        yield { done: at + slice.length, total: missing.length };
      }
    },
  };
}

/** One error for all pictures that could not be read. */
function allOf(problems: readonly Error[]): Error {
  const distinct = [...new Map(problems.map((problem) => [problem.message, problem])).values()];
  const [first] = distinct;
  if (distinct.length === 1 || !(first instanceof ModelError)) return first!;
  return new ModelError(
    first.code,
    'imageFeatures',
    listProblems(
      `${distinct.length} pictures cannot be read:`,
      distinct.map(({ message }) => message.replace(/^model\/\w+: /, '')),
    ),
    { cause: first },
  );
}

/** The features of each example's image, or undefined for an example without one. */
export async function imageFeaturesOf(
  examples: readonly { readonly image?: string | undefined }[],
  features: ImageFeatures,
): Promise<(Float32Array | undefined)[]> {
  const paths = examples.flatMap(({ image }) => (image === undefined ? [] : [image]));
  const found = await features.get(paths);
  let next = 0;
  return examples.map(({ image }) => (image === undefined ? undefined : found[next++]));
}
