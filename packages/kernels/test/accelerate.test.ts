import { expect, test } from '@jest/globals';
import { accelerateTfjs, loadOnnxRuntime } from '@contextlora/kernels';
import * as tf from '@contextlora/kernels/tfjs';
import fc from 'fast-check';

import type { Matrix } from './naive.js';
import { expectClose, inScope, matrixOf, randomMatrix } from './tensors.js';

const prefers = typeof loadOnnxRuntime() === 'string' ? (['wasm'] as const) : (['wasm', 'onnx'] as const);

const cases = fc.sample(
  fc.record({
    outer: fc.constantFrom([], [1], [2], [2, 3]),
    batched: fc.boolean(),
    m: fc.integer({ min: 1, max: 6 }),
    n: fc.integer({ min: 1, max: 6 }),
    k: fc.integer({ min: 1, max: 6 }),
    transposeA: fc.boolean(),
    transposeB: fc.boolean(),
  }),
  { numRuns: 60, seed: 1 },
);

function random(shape: readonly number[], seed: number): tf.Tensor {
  const size = shape.reduce((product, n) => product * n, 1);
  return tf.tensor(Float32Array.from(randomMatrix(1, size, seed).values), [...shape]);
}

/** The product of every case, with b batched like a or one matrix for all. */
const products = () =>
  cases.map(({ outer, batched, m, n, k, transposeA, transposeB }, seed) =>
    tf.matMul(
      random([...outer, ...(transposeA ? [k, m] : [m, k])], seed),
      random([...(batched ? outer : []), ...(transposeB ? [n, k] : [k, n])], seed + 100),
      transposeA,
      transposeB,
    ),
  );

test.each(prefers)(
  'tf.matMul by %s equals the original kernel, whatever is transposed or batched',
  async (prefer) => {
    await tf.registerWasmBackend();
    await tf.setBackend('wasm');
    const own: { shape: number[]; values: Matrix }[] = [];
    await inScope(async () => {
      for (const y of products()) own.push({ shape: y.shape, values: await matrixOf(y) });
    });
    const before = tf.getKernel('BatchMatMul', 'wasm');
    const acceleration = await accelerateTfjs({ prefer });
    expect(acceleration.backend).toBe(prefer);
    expect(tf.getKernel('BatchMatMul', 'wasm')).not.toBe(before);
    const tensorsBefore = tf.memory().numTensors;
    await inScope(async () => {
      for (const [i, y] of products().entries()) {
        expect(y.shape).toEqual(own[i]?.shape);
        await expectClose(y, own[i]!.values);
      }
    });
    expect(tf.memory().numTensors).toBe(tensorsBefore);
    acceleration.restore();
    expect(tf.getKernel('BatchMatMul', 'wasm')).toBe(before);
    await inScope(() => {
      expect([...tf.matMul(tf.ones([2, 3]), tf.ones([3, 1])).dataSync()]).toEqual([3, 3]);
    });
  },
);
