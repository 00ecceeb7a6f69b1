/** Opens a backend for a suite, and checks at the end that no tensor was leaked. */
import { afterAll, beforeAll, expect } from '@jest/globals';
import { type Kernels, openKernels, openWebGpu } from '@contextlora/kernels';
import * as tf from '@contextlora/kernels/tfjs';

type TestedBackend = Kernels['backend'] | 'webgpu';

/** `webgpu` is the reference backend over tfjs's WebGPU: jest.webgpu.config.mjs. */
export const backends: readonly TestedBackend[] =
  (globalThis as { readonly testedBackends?: readonly TestedBackend[] }).testedBackends ??
  (['reference', 'wasm', 'onnx'] as const);

/** Registers the set-up of a suite; `use` receives the kernels before the first test. */
export function useBackend(backend: TestedBackend, use: (kernels: Kernels) => void): void {
  let kernels: Kernels;
  let tensorsBefore: number;
  beforeAll(async () => {
    kernels = backend === 'webgpu' ? await openOnWebGpu() : await openKernels({ prefer: backend });
    tensorsBefore = tf.memory().numTensors;
    use(kernels);
  });
  afterAll(() => {
    kernels.dispose();
    // Every test has a tidy scope and kernels keep nothing, so whatever is left was leaked.
    expect(tf.memory().numTensors).toBe(tensorsBefore);
  });
}

async function openOnWebGpu(): Promise<Kernels> {
  const opened = await openWebGpu();
  if (typeof opened === 'string') throw new Error(opened);
  // Otherwise the backend would compute small tensors that were never uploaded on the processor.
  tf.env().set('WEBGPU_CPU_FORWARD', false);
  // Values that never left the processor could be read at once; real activations cannot.
  tf.Tensor.prototype.dataSync = () => {
    throw new Error('a tensor is read synchronously');
  };
  return opened.kernels;
}
