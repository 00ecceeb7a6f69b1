/** Chooses a backend, and reports which ones are available and why. */
import * as tf from '@contextlora/kernels/tfjs';

import { createFusedKernels } from './fused/kernels.js';
import type { IntegerKind } from './integer/integer-products.js';
import type { Kernels } from './kernels.js';
import { integerKindOf } from './onnx/integer-products.js';
import { loadOnnxRuntime } from './onnx/runtime.js';
import { openBackend, requireThreads, startWasm } from './open-backend.js';
import { createReferenceKernels } from './reference/kernels.js';
import { requireChoice } from './require-choice.js';

export interface OpenKernelsOptions {
  /** `fastest` takes the native backend if it is available, else the wasm one; the other values force one. */
  readonly prefer?: 'fastest' | Kernels['backend'];
  /** Threads for one native product. */
  readonly threads?: number;
}

/**
 * Opens the kernels on the tfjs wasm backend, which it selects and starts.
 *
 * @throws KernelsError when an option has a value that it cannot have, or `onnx` is requested and not available, with the reason.
 */
export async function openKernels({
  prefer = 'fastest',
  threads = 1,
}: OpenKernelsOptions = {}): Promise<Kernels> {
  requireChoice('openKernels', 'prefer', prefer, ['fastest', 'reference', 'wasm', 'onnx']);
  requireThreads('openKernels', threads);
  if (prefer === 'reference') {
    await startWasm();
    return createReferenceKernels();
  }
  const { backend, parts } = await openBackend('openKernels', { prefer, threads });
  return createFusedKernels(backend, parts);
}

export interface BackendReport {
  readonly backend: Kernels['backend'];
  readonly available: boolean;
  /** What it is, or why it is not available. */
  readonly detail: string;
}

/** All give the same integers. */
const integerDetails: Readonly<Record<IntegerKind, string>> = {
  signed: 'native products of bytes',
  unsigned:
    'native products of bytes, the slower unsigned ones, because signed ones saturate on this processor',
  wasm: 'products of bytes in wasm',
};

/** Which backends this machine has. */
export async function describeBackends(): Promise<BackendReport[]> {
  await startWasm();
  const runtime = loadOnnxRuntime();
  return [
    typeof runtime === 'string'
      ? { backend: 'onnx', available: false, detail: runtime }
      : {
          backend: 'onnx',
          available: true,
          detail: `native matrix products on the wasm heap; w8a8: ${integerDetails[integerKindOf(runtime) ?? 'wasm']}`,
        },
    {
      backend: 'wasm',
      available: true,
      detail: `wasm SIMD on the heap of tfjs-backend-wasm; w8a8: ${integerDetails.wasm}`,
    },
    {
      backend: 'reference',
      available: true,
      detail: `tfjs-core ${tf.version_core} on backend "${tf.getBackend()}"`,
    },
  ];
}
