/** Chooses a backend, and says which and why. */
import * as tf from '@tensorflow/tfjs-core';

import { createFusedKernels } from './fused/kernels.js';
import type { Kernels } from './kernels.js';
import { loadOnnxRuntime } from './onnx/runtime.js';
import { openBackend, startWasm } from './open-backend.js';
import { createReferenceKernels } from './reference/kernels.js';

export interface OpenKernelsOptions {
  /** `fastest` takes the native backend where it can be had, else the wasm one; the others force one. */
  readonly prefer?: 'fastest' | Kernels['backend'];
  /** Threads of one native operation. */
  readonly threads?: number;
}

/**
 * Opens the kernels on the tfjs wasm backend, which it sets and starts.
 *
 * @throws Error when `onnx` is forced and cannot be had, with the reason.
 */
export async function openKernels({
  prefer = 'fastest',
  threads = 1,
}: OpenKernelsOptions = {}): Promise<Kernels> {
  if (prefer === 'reference') {
    await startWasm();
    return createReferenceKernels();
  }
  const { backend, parts } = await openBackend({ prefer, threads });
  return createFusedKernels(backend, parts);
}

export interface BackendReport {
  readonly backend: Kernels['backend'];
  readonly available: boolean;
  /** Why not, or what it is. */
  readonly detail: string;
}

/** Which backends this machine has, for `contextlora doctor`. */
export async function describeBackends(): Promise<BackendReport[]> {
  await startWasm();
  const runtime = loadOnnxRuntime();
  return [
    typeof runtime === 'string'
      ? { backend: 'onnx', available: false, detail: runtime }
      : { backend: 'onnx', available: true, detail: 'native matrix products on the wasm heap' },
    { backend: 'wasm', available: true, detail: 'wasm SIMD on the heap of tfjs-backend-wasm' },
    {
      backend: 'reference',
      available: true,
      detail: `tfjs-core ${tf.version_core} on backend "${tf.getBackend()}"`,
    },
  ];
}
