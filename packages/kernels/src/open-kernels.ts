/** Chooses a ground, and says which and why. */
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-wasm';

import type { Kernels } from './kernels.js';
import { createOnnxKernels } from './onnx-kernels.js';
import { loadOnnxRuntime } from './onnx-runtime.js';
import { createReferenceKernels } from './reference-kernels.js';
import { openWasmHeap } from './wasm-heap.js';
import { createWasmKernels } from './wasm-kernels.js';

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
  await startWasm();
  if (prefer === 'reference') return createReferenceKernels();
  const heap = openWasmHeap();
  if (typeof heap === 'string')
    throw new Error(
      `kernels/openKernels: ${heap}; prefer: 'reference' runs on any tfjs backend that can be read synchronously`,
    );
  if (prefer === 'wasm') return createWasmKernels(heap);
  const runtime = loadOnnxRuntime();
  if (typeof runtime !== 'string') return createOnnxKernels(runtime, heap, { threads });
  if (prefer === 'onnx')
    throw new Error(
      `kernels/openKernels: the "onnx" ground was asked for and cannot be had: ${runtime}; prefer: 'wasm' needs no native library`,
    );
  return createWasmKernels(heap);
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

async function startWasm(): Promise<void> {
  if (tf.getBackend() !== 'wasm' && !(await tf.setBackend('wasm')))
    throw new Error(
      'kernels/openKernels: the tfjs wasm backend did not start; is @tensorflow/tfjs-backend-wasm installed whole?',
    );
  await tf.ready();
}
