import { createRequire } from 'node:module';

import { describe, expect, test } from '@jest/globals';
import { loadOnnxRuntime, openKernels, openWasmHeap, type WasmHeap } from '@contextlora/kernels';
import * as tf from '@tensorflow/tfjs-core';

describe('without the native library', () => {
  const sources = {
    require: (module: string) =>
      module === 'koffi' ? (createRequire(import.meta.url)('koffi') as unknown) : { version: '1.30.0' },
    resolve: (module: string) => `/nowhere/${module}`,
    platform: 'linux',
    architecture: 'x64',
  };
  const fail = (message: string) => () => {
    throw new Error(message);
  };

  test('a package that is missing or of another version is named, with the command that mends it', () => {
    expect(loadOnnxRuntime({ ...sources, resolve: fail('Cannot find module') })).toMatch(
      /^onnxruntime-node is not installed; npm install onnxruntime-node@1\.30\.0 koffi/,
    );
    expect(loadOnnxRuntime({ ...sources, require: () => ({ version: '1.31.0' }) })).toMatch(
      /^onnxruntime-node 1\.31\.0 is installed, .* in 1\.30\.0 only; npm install/,
    );
    const withoutKoffi = (module: string) =>
      module === 'koffi' ? fail('Cannot find module\nRequire stack: …')() : { version: '1.30.0' };
    expect(loadOnnxRuntime({ ...sources, require: withoutKoffi })).toMatch(
      /^koffi, .* does not load \(Cannot find module\); npm install koffi/,
    );
  });

  test('a library that is not there, or is no library, is an answer and not a crash', () => {
    expect(loadOnnxRuntime(sources)).toMatch(
      /^onnxruntime-node has no library that loads on linux-x64: .*nowhere/,
    );
    expect(loadOnnxRuntime({ ...sources, platform: 'plan9', architecture: 'mips' })).toMatch(
      /on plan9-mips: /,
    );
  });
});

test('an onnx graph that is wrong, or inputs that do not fit it, are errors in the words of the runtime', () => {
  const runtime = loadOnnxRuntime();
  if (typeof runtime === 'string') throw new Error(runtime);
  const graph = (op: string) => ({
    nodes: [{ op, inputs: ['a', 'b'], outputs: ['c'] }],
    inputs: ['a', 'b'],
    outputs: ['c'],
  });
  expect(() => runtime.load(graph('NoSuchOperation'), 1)).toThrow(
    /onnxruntime\/createSessionFromArray: .*NoSuchOperation/,
  );
  const session = runtime.load(graph('MatMul'), 1);
  const tensor = (...shape: number[]) => ({
    values: new Float32Array(shape.reduce((product, n) => product * n, 1)).fill(1),
    shape,
  });
  const c = tensor(2, 4);
  session.run({ a: tensor(2, 3), b: tensor(3, 4) }, { c });
  expect([...c.values]).toEqual(new Array(8).fill(3));
  expect(() => {
    session.run({ a: tensor(2, 3), b: tensor(2, 4) }, { c });
  }).toThrow(/onnxruntime\/run: /);
  // A result that does not fit the memory given for it is refused, not written beyond it.
  expect(() => {
    session.run({ a: tensor(2, 3), b: tensor(3, 4) }, { c: tensor(2, 3) });
  }).toThrow(/onnxruntime\/run: /);
  expect(() => {
    session.run({ a: { values: new Float32Array(5), shape: [2, 3] }, b: tensor(3, 4) }, { c });
  }).toThrow(/onnxruntime\/createTensorWithDataAsOrtValue: /);
  expect(() => {
    session.run({ a: tensor(2, 3) }, { c });
  }).toThrow('no tensor "b" was given');
  session.dispose();
  session.dispose();
  expect(() => {
    session.run({ a: tensor(2, 3), b: tensor(3, 4) }, { c });
  }).toThrow('after it was disposed');
});

test('an impossible number of threads is an error', async () => {
  await expect(openKernels({ threads: 0 })).rejects.toThrow('threads must be a positive integer, got 0');
});

describe.each(['wasm', 'onnx'] as const)('the %s ground', (ground) => {
  test('a tensor that is disposed or of another type is an error, never a read of foreign memory', async () => {
    const kernels = await openKernels({ prefer: ground });
    const gone = tf.zeros<tf.Rank.R2>([2, 3]);
    gone.dispose();
    expect(() => kernels.add(gone, gone)).toThrow('kernels/heap: a tensor is disposed');
    tf.tidy(() => {
      const integers = tf.zeros<tf.Rank.R2>([2, 3], 'int32');
      expect(() => kernels.add(integers, integers)).toThrow('x must be float32 [any, any], got int32 [2, 3]');
      const cube = tf.zeros([2, 3, 1]) as unknown as tf.Tensor2D;
      expect(() => kernels.gelu(cube, 'erf')).toThrow('x must be float32 [any, any], got float32 [2, 3, 1]');
    });
  });

  test('segments that do not fit their layer are an error', async () => {
    const kernels = await openKernels({ prefer: ground });
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
    const kernels = await openKernels({ prefer: ground });
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

test('an exhausted heap is an error that says so, and what was there stays right', async () => {
  await openKernels({ prefer: 'wasm' });
  const heap = openWasmHeap() as WasmHeap;
  const before = tf.memory().numTensors;
  const kept = tf.tensor1d([1, 2, 3]);
  const large: tf.Tensor[] = [];
  // Four times 1 GiB cannot fit into 4 GiB beside anything else; untouched pages cost no memory.
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
