/** Opens a ground for a suite, and sees at its end that no tensor was leaked. */
import { afterAll, beforeAll, expect } from '@jest/globals';
import { type Kernels, openKernels } from '@contextlora/kernels';
import * as tf from '@tensorflow/tfjs-core';

export const grounds = ['reference', 'wasm', 'onnx'] as const;

/** Registers the suite's set-up; `use` gets the kernels before the first test. */
export function useGround(ground: Kernels['ground'], use: (kernels: Kernels) => void): void {
  let kernels: Kernels;
  let tensorsBefore: number;
  beforeAll(async () => {
    kernels = await openKernels({ prefer: ground });
    tensorsBefore = tf.memory().numTensors;
    use(kernels);
  });
  afterAll(() => {
    kernels.dispose();
    // Every test is in a tidy scope, and kernels keep nothing: what is left was leaked.
    expect(tf.memory().numTensors).toBe(tensorsBefore);
  });
}
