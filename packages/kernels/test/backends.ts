/** Opens a backend for a suite, and sees at its end that no tensor was leaked. */
import { afterAll, beforeAll, expect } from '@jest/globals';
import { type Kernels, openKernels, openWebGpu } from '@contextlora/kernels';
import * as tf from '@tensorflow/tfjs-core';

type TestedBackend = Kernels['backend'] | 'webgpu';

/** `webgpu` is the reference backend over tfjs's WebGPU: jest.webgpu.config.mjs. */
export const backends: readonly TestedBackend[] =
  (globalThis as { readonly testedBackends?: readonly TestedBackend[] }).testedBackends ??
  (['reference', 'wasm', 'onnx'] as const);

/** Registers the suite's set-up; `use` gets the kernels before the first test. */
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
    // Every test is in a tidy scope, and kernels keep nothing: what is left was leaked.
    expect(tf.memory().numTensors).toBe(tensorsBefore);
  });
}

async function openOnWebGpu(): Promise<Kernels> {
  const opened = await openWebGpu();
  if (typeof opened === 'string') throw new Error(opened);
  // The backend computes small tensors that were never uploaded on the processor.
  tf.env().set('WEBGPU_CPU_FORWARD', false);
  // What never left the processor could be read at once; a real activation cannot.
  tf.Tensor.prototype.dataSync = () => {
    throw new Error('a tensor is read synchronously');
  };
  return opened.kernels;
}
