import { describe, expect, test } from '@jest/globals';
import { accelerateTfjs, compressWeight, KernelsError, openKernels } from '@contextlora/kernels';
import * as tf from '@contextlora/kernels/tfjs';

/** A value that TypeScript would refuse. */
const wrong = (value: unknown) => value as never;

describe('an option that is none of its values is refused with the values that it can have', () => {
  test.each([
    [
      'the backend',
      () => openKernels({ prefer: wrong('bogus') }),
      'kernels/openKernels: prefer must be one of fastest, reference, wasm, onnx, got "bogus"',
    ],
    ['a backend in capitals', () => openKernels({ prefer: wrong('WASM') }), 'got "WASM"'],
    ['no backend', () => openKernels({ prefer: wrong(null) }), 'got null'],
    ['webgpu, which openWebGpu opens', () => openKernels({ prefer: wrong('webgpu') }), 'got "webgpu"'],
    [
      'the threads of the reference backend',
      () => openKernels({ prefer: 'reference', threads: 0 }),
      'kernels/openKernels: threads must be a positive integer, got 0',
    ],
    [
      'the backend that accelerates tfjs',
      () => accelerateTfjs({ prefer: wrong('reference') }),
      'kernels/accelerateTfjs: prefer must be one of fastest, wasm, onnx, got "reference"',
    ],
    [
      'the threads that accelerate tfjs',
      () => accelerateTfjs({ threads: 1.5 }),
      'kernels/accelerateTfjs: threads must be a positive integer, got 1.5',
    ],
  ])('%s', async (_, attempt, message) => {
    await expect(attempt()).rejects.toThrow(message);
    await expect(attempt()).rejects.toBeInstanceOf(KernelsError);
  });

  test('the format of a weight', async () => {
    expect(() => compressWeight(new Float32Array(32), 1, 32, wrong('q4_K'))).toThrow(
      'kernels/compressWeight: format must be one of f16, int8, q8_0, q4_0, q4_1, got "q4_K"',
    );
    expect(() => compressWeight(new Float32Array(32), 1, 32, wrong('toString'))).toThrow('got "toString"');
    for (const prefer of ['reference', 'wasm'] as const) {
      const kernels = await openKernels({ prefer });
      expect(() =>
        kernels.prepareLinear(wrong({ format: 'q2_K', blocks: new Uint8Array(16) }), 1, 32),
      ).toThrow('the format of a weight must be one of f16, int8, q8_0, q4_0, q4_1, q4_K, q5_1, q5_K, q6_K');
      kernels.dispose();
    }
  });

  test('the variant of gelu', async () => {
    for (const prefer of ['reference', 'wasm'] as const) {
      const kernels = await openKernels({ prefer });
      const x = tf.zeros<tf.Rank.R2>([1, 2]);
      for (const attempt of [
        () => kernels.gelu(x, wrong('fast')),
        () => kernels.geglu(x, x, wrong(undefined)),
      ])
        expect(attempt).toThrow('the variant must be one of tanh, erf, quick, got ');
      x.dispose();
      kernels.dispose();
    }
  });
});
