/** Starts the tfjs wasm backend and opens the parts of the fastest backend that is available here. */
import * as tf from '@contextlora/kernels/tfjs';

import { dropRethrowListeners } from './drop-rethrow-listeners.js';
import type { FusedContext } from './fused/context.js';
import { KernelsError } from './kernels-error.js';
import { openOnnxParts } from './onnx/parts.js';
import { loadOnnxRuntime } from './onnx/runtime.js';
import { openWasmHeap } from './wasm/heap.js';
import { openWasmParts } from './wasm/parts.js';
import { Memory } from './wasm/web-assembly.js';

export interface OpenBackendOptions {
  /** `fastest` takes native products if they are available, else those in wasm; the other values force one. */
  readonly prefer?: 'fastest' | 'wasm' | 'onnx';
  /** Threads for one native product. */
  readonly threads?: number;
}

/** Selects and starts the backend; throws if `onnx` is requested and not available. */
export async function openBackend({ prefer = 'fastest', threads = 1 }: OpenBackendOptions = {}): Promise<{
  readonly backend: 'wasm' | 'onnx';
  readonly parts: FusedContext;
}> {
  await startWasm();
  if (!Number.isInteger(threads) || threads < 1)
    throw new KernelsError(
      'KERNELS_OUT_OF_RANGE',
      'openKernels',
      `threads must be a positive integer, got ${threads}`,
    );
  const heap = openWasmHeap();
  if (typeof heap === 'string')
    throw new KernelsError(
      'KERNELS_BACKEND_UNAVAILABLE',
      'openKernels',
      `${heap}; prefer: 'reference' runs on any tfjs backend that can be read synchronously`,
    );
  const runtime = prefer === 'wasm' ? '' : loadOnnxRuntime();
  if (typeof runtime !== 'string')
    return { backend: 'onnx', parts: openOnnxParts(runtime, heap, { threads }) };
  if (prefer === 'onnx')
    throw new KernelsError(
      'KERNELS_BACKEND_UNAVAILABLE',
      'openKernels',
      `the "onnx" backend was requested and is not available: ${runtime}; prefer: 'wasm' needs no native library`,
    );
  return { backend: 'wasm', parts: openWasmParts(heap) };
}

/** Selects and starts the wasm backend of tfjs. */
export async function startWasm(): Promise<void> {
  await tf.registerWasmBackend();
  if (tf.getBackend() === 'wasm') return tf.ready();
  requireWasmMemory();
  if (!(await dropRethrowListeners(() => tf.setBackend('wasm'))))
    throw new KernelsError(
      'KERNELS_BACKEND_UNAVAILABLE',
      'openKernels',
      'the tfjs wasm backend did not start; are its .wasm files next to the code of @contextlora/kernels?',
    );
  await tf.ready();
}

/** tfjs prints why its backend did not start and returns false; a memory that cannot be had is the likeliest reason. */
function requireWasmMemory(): void {
  try {
    new Memory({ initial: 1 });
  } catch (cause) {
    throw new KernelsError(
      'KERNELS_MEMORY_REFUSED',
      'openKernels',
      `this process may not reserve the address space of a wasm memory (about 10 GB, of which only what is used becomes memory): ` +
        `${(cause as Error).message}; raise its limit of virtual memory (ulimit -v)`,
      { cause },
    );
  }
}
