import { describe, expect, test } from '@jest/globals';
import {
  compressWeight,
  integerWeight,
  KernelsError,
  openKernels,
  openWasmHeap,
  type WasmHeap,
} from '@contextlora/kernels';
import * as tf from '@contextlora/kernels/tfjs';

import { fittingOperands, openOperations } from './operations.js';
import { inScope } from './tensors.js';

test('an impossible number of threads is an error', async () => {
  await expect(openKernels({ threads: 0 })).rejects.toThrow('threads must be a positive integer, got 0');
});

describe.each(['wasm', 'onnx'] as const)('the %s backend', (backend) => {
  test('a tensor that is disposed or has another type is an error, never a read of other memory', async () => {
    const kernels = await openKernels({ prefer: backend });
    const gone = tf.zeros<tf.Rank.R2>([2, 3]);
    gone.dispose();
    expect(() => kernels.add(gone, gone)).toThrow('kernels/add: x is disposed; keep the operands');
    tf.tidy(() => {
      const integers = tf.zeros<tf.Rank.R2>([2, 3], 'int32');
      expect(() => kernels.add(integers, integers)).toThrow('x must be float32 [any, any], got int32 [2, 3]');
      const cube = tf.zeros([2, 3, 1]) as unknown as tf.Tensor2D;
      expect(() => kernels.gelu(cube, 'erf')).toThrow('x must be float32 [any, any], got float32 [2, 3, 1]');
    });
  });

  test('segments that do not fit their linear layer are an error', async () => {
    const kernels = await openKernels({ prefer: backend });
    const weight = kernels.prepareLinear(new Float32Array(6), 2, 3);
    tf.tidy(() => {
      const x = tf.zeros<tf.Rank.R2>([4, 3]);
      const segment = (a: [number, number], b: [number, number]) => ({
        a: tf.zeros<tf.Rank.R2>(a),
        b: tf.zeros<tf.Rank.R2>(b),
        scale: 1,
        train: true,
      });
      expect(() => kernels.linear(x, weight, [segment([1, 2], [2, 1])])).toThrow(
        'kernels/linear: a of segment 0 must be float32 [any, 3], got float32 [1, 2]',
      );
      expect(() => kernels.linear(x, weight, [segment([1, 3], [2, 2])])).toThrow(
        'kernels/linear: b of segment 0 must be float32 [2, 1], got float32 [2, 2]',
      );
      const { saved } = kernels.linear(x, weight, [segment([1, 3], [2, 1])]);
      const dy = tf.zeros<tf.Rank.R2>([4, 2]);
      expect(() => kernels.linearBackward(dy, saved, weight, [], { input: true })).toThrow(
        'kernels/linearBackward: the segments must have 1 elements, got 0',
      );
    });
    weight.dispose();
  });

  test('a first key outside the row, and a rotary table that is too short, are errors', async () => {
    const kernels = await openKernels({ prefer: backend });
    const shape = { batch: 1, time: 2, heads: 1, kvHeads: 1, headDim: 2, causal: true };
    tf.tidy(() => {
      const x = tf.zeros<tf.Rank.R2>([2, 2]);
      expect(() => kernels.attention(x, x, x, { ...shape, firstKeys: [2] })).toThrow(
        'the first key of row 0 must be one of 0 to 1, got 2',
      );
      const table = { time: 1, halfDim: 1, cos: new Float32Array(1), sin: new Float32Array(1) };
      expect(() => kernels.attention(x, x, x, shape, { table })).toThrow('positions up to 2');
    });
  });
});

describe.each(['wasm', 'onnx'] as const)('on a heap that is full, the %s backend', (backend) => {
  test('throws from every operation, and works again once there is room', async () => {
    const kernels = await openKernels({ prefer: backend });
    const heap = openWasmHeap() as WasmHeap;
    const operations = openOperations(kernels);
    await inScope(async () => {
      const calls = operations.list.map((operation) => ({ operation, operands: fittingOperands(operation) }));
      const once = () => calls.map(({ operation, operands }) => operation.run(operands));
      const expected = await Promise.all(
        once()
          .flat()
          .map((tensor) => tensor.data()),
      );
      const filling = fill(heap);
      let refused = 0;
      for (const { operation, operands } of calls)
        try {
          operation.run(operands);
        } catch (error) {
          expect(error).toMatchObject({ name: 'KernelsError', code: 'KERNELS_HEAP_FULL' });
          expect((error as Error).message).toMatch(/has no room for/);
          refused += 1;
        }
      for (const address of filling) heap.release(address);
      expect(refused).toBe(calls.length);
      expect(
        await Promise.all(
          once()
            .flat()
            .map((tensor) => tensor.data()),
        ),
      ).toEqual(expected);
    });
    operations.dispose();
    kernels.dispose();
  });

  test('multiplies a compact weight that does not fit there as before, from outside', async () => {
    const kernels = await openKernels({ prefer: backend });
    const heap = openWasmHeap() as WasmHeap;
    await inScope(() => {
      const values = Float32Array.from({ length: 2 ** 20 }, (_, i) => Math.sin(i));
      const open = () => kernels.prepareLinear(compressWeight(values, 1024, 1024, 'f16'), 1024, 1024);
      const x = tf.tensor2d(values.subarray(0, 1024), [1, 1024]);
      const [fits, outside] = [open(), open()];
      const expected = kernels.linear(x, fits).y.dataSync();
      // Reserves the scratch that expansion needs.
      kernels.linear(tf.zeros([9, 1024]), outside);
      // Room for the result, but not for the weight, which has 2 MiB.
      const room = heap.reserve(2 ** 20);
      const filling = fill(heap);
      heap.release(room);
      let y: tf.Tensor2D;
      try {
        ({ y } = kernels.linear(x, outside));
      } finally {
        for (const address of filling) heap.release(address);
      }
      const differences = Array.from(y.dataSync(), (value, i) => Math.abs(value - expected[i]!));
      expect(Math.max(...differences)).toBeLessThan(1e-3);
      fits.dispose();
      outside.dispose();
    });
    kernels.dispose();
  });
});

test.each(['wasm', 'onnx'] as const)(
  'on the %s backend, a weight that decoding moved to the heap leaves it with its disposal',
  async (backend) => {
    const kernels = await openKernels({ prefer: backend });
    const heap = openWasmHeap() as WasmHeap;
    const size = 512;
    const values = Float32Array.from({ length: size * size }, (_, i) => Math.sin(i));
    for (const weight of [compressWeight(values, size, size, 'f16'), integerWeight(values, size, size)]) {
      const use = () => {
        tf.tidy(() => {
          const linear = kernels.prepareLinear(weight, size, size);
          const { saved } = kernels.linear(tf.ones([1, size]), linear);
          saved.dispose();
          linear.dispose();
        });
      };
      use();
      const before = heap.memory.buffer.byteLength;
      // 15 MiB or 30, if each stayed.
      for (let i = 0; i < 60; i++) use();
      expect(heap.memory.buffer.byteLength - before).toBeLessThan(8 * 2 ** 20);
    }
    kernels.dispose();
  },
);

test('errors carry a code that callers can branch on', async () => {
  const kernels = await openKernels({ prefer: 'wasm' });
  const codeOf = (call: () => unknown) => {
    try {
      return call();
    } catch (error) {
      return error instanceof KernelsError ? error.code : error;
    }
  };
  tf.tidy(() => {
    const x = tf.zeros<tf.Rank.R2>([2, 32]);
    const weight = kernels.prepareLinear(new Float32Array(64), 2, 32);
    const segment = {
      a: tf.zeros<tf.Rank.R2>([1, 32]),
      b: tf.zeros<tf.Rank.R2>([2, 1]),
      scale: 1,
      train: true,
    };
    const { y, saved } = kernels.linear(x, weight, [segment]);
    const someRows = { ...segment, rows: { start: 0, end: 1 } };
    expect(codeOf(() => kernels.linear(y, weight))).toBe('KERNELS_OPERAND_MISMATCH');
    expect(codeOf(() => kernels.gatherRows(x, Int32Array.of(2)))).toBe('KERNELS_OUT_OF_RANGE');
    expect(codeOf(() => compressWeight(new Float32Array(33), 1, 33, 'q8_0'))).toBe(
      'KERNELS_FORMAT_UNSUITABLE',
    );
    expect(codeOf(() => kernels.linearBackward(y, saved, weight, [someRows], { input: true }))).toBe(
      'KERNELS_NO_BACKWARD',
    );
    saved.dispose();
    weight.dispose();
  });
  await expect(openKernels({ threads: 0 })).rejects.toMatchObject({ code: 'KERNELS_OUT_OF_RANGE' });
});

/** Takes all memory of a heap, down to the last bytes. */
function fill(heap: WasmHeap): number[] {
  const addresses: number[] = [];
  for (let bytes = 2 ** 30; bytes >= 16; bytes /= 2)
    try {
      for (;;) addresses.push(heap.reserve(bytes));
    } catch {
      // There is no room left for this size.
    }
  return addresses;
}

test('a full heap is an error that says so, and existing tensors stay intact', async () => {
  await openKernels({ prefer: 'wasm' });
  const heap = openWasmHeap() as WasmHeap;
  const before = tf.memory().numTensors;
  const kept = tf.tensor1d([1, 2, 3]);
  const large: tf.Tensor[] = [];
  // Four times 1 GiB cannot fit into 4 GiB with anything else; untouched pages take no memory.
  expect(() => {
    for (let i = 0; i < 4; i++) large.push(heap.allocate([2 ** 14, 2 ** 14]));
  }).toThrow('kernels/allocate: the wasm heap (4 GiB at most) has no room for [16384, 16384]');
  expect(() => heap.reserve(2 ** 31)).toThrow('has no room for 2147483648 bytes');
  tf.dispose(large);
  expect([...kept.dataSync()]).toEqual([1, 2, 3]);
  heap.allocate([2 ** 14, 2 ** 14]).dispose();
  kept.dispose();
  expect(tf.memory().numTensors).toBe(before);
});
