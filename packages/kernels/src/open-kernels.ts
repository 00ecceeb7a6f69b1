/** Chooses a ground, and says which and why. */
import * as tf from '@tensorflow/tfjs-core';

import { createFusedKernels } from './create-fused-kernels.js';
import type { Kernels } from './kernels.js';
import { loadOnnxRuntime } from './onnx-runtime.js';
import { openBackend, startWasm } from './open-backend.js';
import { createReferenceKernels } from './reference-kernels.js';

export interface OpenKernelsOptions {
  /** `fastest` takes the native ground where it can be had, else the wasm one; the others force one. */
  readonly prefer?: 'fastest' | Kernels['ground'];
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
  const { ground, parts } = await openBackend({ prefer, threads });
  return createFusedKernels(ground, parts);
}

export interface GroundReport {
  readonly ground: Kernels['ground'];
  readonly available: boolean;
  /** Why not, or what it is. */
  readonly detail: string;
}

/** Which grounds this machine has, for `contextlora doctor`. */
export async function describeGrounds(): Promise<GroundReport[]> {
  await startWasm();
  const runtime = loadOnnxRuntime();
  return [
    typeof runtime === 'string'
      ? { ground: 'onnx', available: false, detail: runtime }
      : { ground: 'onnx', available: true, detail: 'native matrix products on the wasm heap' },
    { ground: 'wasm', available: true, detail: 'wasm SIMD on the heap of tfjs-backend-wasm' },
    {
      ground: 'reference',
      available: true,
      detail: `tfjs-core ${tf.version_core} on backend "${tf.getBackend()}"`,
    },
  ];
}
