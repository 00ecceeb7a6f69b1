import { createRequire } from 'node:module';

import { describe, expect, test } from '@jest/globals';
import { loadOnnxRuntime } from '@contextlora/kernels';

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

  test('a package that is missing or has another version is named, with the command that fixes it', () => {
    expect(loadOnnxRuntime({ ...sources, resolve: fail('Cannot find module') })).toMatch(
      /^onnxruntime-node is not installed; ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node@1\.30\.0 koffi@3\.3\.4/,
    );
    expect(loadOnnxRuntime({ ...sources, require: () => ({ version: '1.31.0' }) })).toMatch(
      /^onnxruntime-node 1\.31\.0 is installed, .* in 1\.30\.0 only; ONNXRUNTIME_NODE_INSTALL=skip npm install/,
    );
    const withoutKoffi = (module: string) =>
      module === 'koffi' ? fail('Cannot find module\nRequire stack: …')() : { version: '1.30.0' };
    expect(loadOnnxRuntime({ ...sources, require: withoutKoffi })).toMatch(
      /^koffi, .* does not load \(Cannot find module\); npm install koffi@3\.3\.4/,
    );
  });

  test('a library that is missing or does not load gives a sentence and not a crash', () => {
    expect(loadOnnxRuntime(sources)).toMatch(
      /^onnxruntime-node has no library that loads on linux-x64: .*nowhere/,
    );
    expect(loadOnnxRuntime({ ...sources, platform: 'plan9', architecture: 'mips' })).toMatch(
      /on plan9-mips: /,
    );
  });
});

test('a wrong onnx graph, or inputs that do not fit it, are errors with the message of the runtime', () => {
  const runtime = loadOnnxRuntime();
  if (typeof runtime === 'string') throw new Error(runtime);
  const graph = (op: string) => ({
    nodes: [{ op, inputs: ['a', 'b'], outputs: ['c'] }],
    inputs: ['a', 'b'],
    outputs: ['c'],
  });
  expect(() => runtime.load(graph('NoSuchOperation'), 1)).toThrow(
    expect.objectContaining({
      code: 'KERNELS_RUNTIME_FAILED',
      message: expect.stringMatching(/onnxruntime\/createSessionFromArray: .*NoSuchOperation/),
    }),
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
  // A result that does not fit its memory is refused, not written beyond it.
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
