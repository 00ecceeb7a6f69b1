import { afterAll, describe, expect, test } from '@jest/globals';
import { type Kernels, openWasmHeap } from '@contextlora/kernels';
import * as tf from '@contextlora/kernels/tfjs';

import { backends, useBackend } from './backends.js';
import { fittingOperands, type Operations, openOperations } from './operations.js';
import { inScope } from './tensors.js';

function disposed(x: tf.Tensor2D): tf.Tensor2D {
  x.dispose();
  return x;
}
const takesAnyColumns = /^(gelu |gatherRows|crossEntropy)/;
const valuesOf = (tensors: readonly tf.Tensor[]) =>
  Promise.all(tensors.map(async (of) => ({ shape: of.shape, values: [...(await of.data())] })));

describe.each(backends)('the %s backend', (backend) => {
  let kernels: Kernels;
  let operations: Operations;
  afterAll(() => {
    operations.dispose();
  });
  useBackend(backend, (opened) => {
    kernels = opened;
    operations = openOperations(kernels);
  });

  test.each([
    ['integers', (x: tf.Tensor2D) => tf.cast(x, 'int32'), /must be float32/],
    ['three dimensions', (x: tf.Tensor2D) => tf.reshape(x, [...x.shape, 1]), /must be float32/],
    ['another number of columns', (x: tf.Tensor2D) => tf.concat([x, x], 1), /must be float32/],
    ['a disposed tensor', disposed, /is disposed/],
  ])('refuses %s as any operand of any operation', async (kind, replace, message) => {
    await inScope(() => {
      for (const operation of operations.list)
        for (const name of Object.keys(operation.operands)) {
          if (kind === 'another number of columns' && takesAnyColumns.test(operation.name)) continue;
          const operands = fittingOperands(operation);
          const replaced = { ...operands, [name]: replace(operands[name]!) as tf.Tensor2D };
          expect(() => operation.run(replaced)).toThrow(message);
        }
    });
  });

  test('refuses a weight after its disposal, and lets it be disposed twice', async () => {
    await inScope(() => {
      const values = Float32Array.from({ length: 48 }, (_, i) => Math.sin(i));
      const weight = kernels.prepareLinear(values, 6, 8);
      const patches = kernels.prepareLinear(values.subarray(0, 24), 6, 4);
      const [x, dy] = [tf.ones([4, 8]) as tf.Tensor2D, tf.ones([4, 6]) as tf.Tensor2D];
      const { saved } = kernels.linear(x, weight);
      for (const one of [weight, weight, patches]) one.dispose();
      // What was freed is used again at once.
      const next = kernels.prepareLinear(
        values.map((value) => 7 * value),
        6,
        8,
      );
      const [targets, weights] = [Int32Array.of(0, 1, 2, 3), new Float32Array(4).fill(0.25)];
      const shape = { imageSizePixels: 4, patchSizePixels: 2, channels: 1 };
      for (const use of [
        () => kernels.linear(x, weight),
        () => kernels.linearBackward(dy, saved, weight, [], { input: true }),
        () => kernels.patchEmbedding([new Float32Array(16)], patches, shape),
        () => kernels.linearCrossEntropy(x, weight, targets, weights, { input: true }),
      ])
        expect(use).toThrow('the weight is disposed; was its model disposed while it was still in use?');
      next.dispose();
      saved.dispose();
    });
  });

  test('takes NaN, infinite and extreme numbers without a crash, and gives results of the same shapes', async () => {
    for (const hostile of [NaN, Infinity, -Infinity, 3e38, -3e38, 1e-42])
      await inScope(async () => {
        for (const operation of operations.list) {
          const expected = operation.run(fittingOperands(operation)).map(({ shape }) => shape);
          for (const name of Object.keys(operation.operands)) {
            const operands = fittingOperands(operation);
            const values = await operands[name]!.data();
            values[1] = hostile;
            const replaced = { ...operands, [name]: tf.tensor2d(values, operands[name]!.shape) };
            const results = await valuesOf(operation.run(replaced));
            expect(results.map(({ shape }) => shape)).toEqual(expected);
          }
        }
      });
  });

  test('lets a gradient that is not finite affect only its own parameter', () => {
    const [p, m, v] = [Float32Array.of(1, 1, 1, 1, 1), new Float32Array(5), new Float32Array(5)];
    const options = { learningRate: 0.1, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0 };
    kernels.adamW(p, Float32Array.of(1, NaN, 1, Infinity, 1), m, v, {
      ...options,
      step: 1,
      gradientScale: 1,
    });
    expect([...p].map((value) => Math.abs(value - 0.9) < 1e-6)).toEqual([true, false, true, false, true]);
  });

  test('gives the same bits for operands that were sliced, transposed and reshaped', async () => {
    await inScope(async () => {
      for (const operation of operations.list) {
        const expected = await valuesOf(operation.run(fittingOperands(operation)));
        const views = Object.entries(fittingOperands(operation)).map(([name, x]) => {
          const [rows, columns] = x.shape;
          const wide = tf.pad(x, [
            [1, 2],
            [3, 1],
          ]);
          const sliced = tf.slice(wide, [1, 3], [rows, columns]);
          return [name, tf.reshape(tf.transpose(tf.transpose(sliced)), [rows, columns])];
        });
        expect(
          await valuesOf(operation.run(Object.fromEntries(views) as Record<string, tf.Tensor2D>)),
        ).toEqual(expected);
      }
    });
  });

  // Tensors on WebGPU are not on the heap.
  const testHeap = backend === 'webgpu' ? test.skip : test;
  testHeap('gives the same bits when the heap grows between a forward and its backward', async () => {
    const heap = openWasmHeap();
    if (typeof heap === 'string') throw new Error(heap);
    const grow = () => {
      const before = heap.memory.buffer;
      const filling: tf.Tensor[] = [];
      while (heap.memory.buffer === before) filling.push(heap.allocate([2 ** 18]));
      tf.dispose(filling);
    };
    await inScope(async () => {
      const before: unknown[] = [];
      for (const operation of operations.list)
        before.push(await valuesOf(operation.run(fittingOperands(operation))));
      let timesLeft = 6;
      for (const [i, operation] of operations.list.entries()) {
        const operands = fittingOperands(operation);
        const between = () => {
          if (timesLeft-- > 0) grow();
        };
        expect(await valuesOf(operation.run(operands, between))).toEqual(before[i]);
      }
      expect(timesLeft).toBeLessThan(0);
    });
  });
});
