/** A store of what a frozen tower makes of each file, which is computed once. */
import { listProblems, ModelError } from '../model-error.js';

export interface FeatureStore {
  /** The features of each path; computes those that are not stored. Nobody may write into them. */
  get(paths: readonly string[]): Promise<Float32Array[]>;
  /** Computes features in advance and yields the number of paths done. */
  warm(paths: readonly string[]): AsyncGenerator<{ done: number; total: number }>;
}

export interface FeatureStoreOptions {
  /** The most files that the tower takes at once. */
  readonly size: number;
  /** The size limit of the store; the oldest features are dropped first. A `get` may ask for more than this. */
  readonly maximumBytes: number;
  /** What the files are, in messages. */
  readonly files: string;
  /** What becomes of each of at most `size` paths: its features, or why there are none. */
  readonly compute: (paths: readonly string[]) => Promise<Map<string, Float32Array | Error>>;
}

export function openFeatureStore({ size, maximumBytes, files, compute }: FeatureStoreOptions): FeatureStore {
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
    if (problems.length > 0) throw allOf(problems, files);
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

/** One error for all files that could not be read. */
function allOf(problems: readonly Error[], files: string): Error {
  const distinct = [...new Map(problems.map((problem) => [problem.message, problem])).values()];
  const [first] = distinct;
  if (distinct.length === 1 || !(first instanceof ModelError)) return first!;
  return new ModelError(
    first.code,
    'features',
    listProblems(
      `${distinct.length} ${files} cannot be read:`,
      distinct.map(({ message }) => message.replace(/^model\/\w+: /, '')),
    ),
    { cause: first },
  );
}
