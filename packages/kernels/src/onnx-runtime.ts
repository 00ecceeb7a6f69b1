/**
 * The synchronous native runtime behind the fast ground.
 *
 * onnxruntime-node's public `session.run` is asynchronous, and kernels are not; its internal binding is synchronous and fills
 * preallocated outputs. It is internal, so the version is pinned exactly and checked.
 */
import { createRequire } from 'node:module';

export const pinnedOnnxRuntimeVersion = '1.30.0';

export interface OnnxSession {
  run(feeds: Record<string, unknown>, fetches: Record<string, unknown>, options: object): void;
  dispose?(): void;
}

export interface OnnxRuntime {
  /** A tensor over the bytes given: nothing is copied. */
  tensor(type: 'float32', values: Float32Array, shape: readonly number[]): unknown;
  tensor(type: 'int64', values: BigInt64Array, shape: readonly number[]): unknown;
  load(model: Uint8Array, threads: number): OnnxSession;
}

interface Binding {
  readonly binding: {
    readonly InferenceSession: new () => OnnxSession & {
      loadModel(buffer: ArrayBufferLike, offset: number, length: number, options: object): void;
    };
  };
  readonly initOrt: () => void;
}

interface PublicPackage {
  readonly Tensor: new (type: string, values: unknown, shape: readonly number[]) => unknown;
}

/** Loads the runtime, or says in one sentence why it cannot be had here; `load` resolves modules. */
export function loadOnnxRuntime(
  load: (module: string) => unknown = createRequire(import.meta.url),
): OnnxRuntime | string {
  let version: string;
  let binding: Binding;
  let publicPackage: PublicPackage;
  try {
    ({ version } = load('onnxruntime-node/package.json') as { version: string });
  } catch {
    return `onnxruntime-node is not installed; npm install onnxruntime-node@${pinnedOnnxRuntimeVersion} adds it`;
  }
  if (version !== pinnedOnnxRuntimeVersion)
    return (
      `onnxruntime-node ${version} is installed, and the synchronous binding is known in ${pinnedOnnxRuntimeVersion} only; ` +
      `npm install onnxruntime-node@${pinnedOnnxRuntimeVersion}`
    );
  try {
    binding = load('onnxruntime-node/dist/binding.js') as Binding;
    publicPackage = load('onnxruntime-node') as PublicPackage;
    binding.initOrt();
  } catch (cause) {
    return `onnxruntime-node has no binary that loads on ${process.platform}-${process.arch}: ${(cause as Error).message.split('\n')[0] ?? ''}`;
  }
  return {
    tensor: (type: string, values: unknown, shape: readonly number[]) =>
      new publicPackage.Tensor(type, values, shape),
    load(model, threads) {
      const session = new binding.binding.InferenceSession();
      session.loadModel(model.buffer, model.byteOffset, model.byteLength, {
        intraOpNumThreads: threads,
        interOpNumThreads: 1,
        executionMode: 'sequential',
        graphOptimizationLevel: 'all',
        enableMemPattern: false,
        // Spinning threads starve whatever else runs on a small machine.
        extra: { session: { intra_op: { allow_spinning: '0' } } },
      });
      return session;
    },
  };
}
