import { describe, expect, test } from '@jest/globals';
import {
  compressWeight,
  expandWeight,
  type CompactWeight,
  type Kernels,
  type LoraSegment,
} from '@contextlora/kernels';
import fc from 'fast-check';

import { backends, useBackend } from './backends.js';
import { columnsOf, compactOf, formatNames, naiveValue } from './compact-weights.js';
import { type Matrix, matrix, naiveLinear } from './naive.js';
import { expectClose, inScope, matrixOf, randomMatrix, tensor } from './tensors.js';

describe.each(backends)('the %s backend', (backend) => {
  let kernels: Kernels;
  useBackend(backend, (opened) => {
    kernels = opened;
  });

  test.each(formatNames)(
    'a linear layer over a %s base equals one over its float32 values, forward and backward',
    async (format) => {
      await fc.assert(
        fc.asyncProperty(
          fc.record({
            rows: fc.integer({ min: 1, max: 4 }),
            outFeatures: fc.integer({ min: 1, max: 5 }),
            seed: fc.integer({ min: 1, max: 1e6 }),
            withBias: fc.boolean(),
          }),
          async ({ rows, outFeatures, seed, withBias }) => {
            await inScope(async () => {
              const inFeatures = columnsOf(format) * (1 + (seed % 2));
              const compact = compactOf(format, outFeatures, inFeatures, seed);
              const w: Matrix = matrix(outFeatures, inFeatures, (row, column) =>
                naiveValue(compact, inFeatures, row * inFeatures + column),
              );
              const bias = withBias ? randomMatrix(1, outFeatures, seed + 3).values : undefined;
              const x = randomMatrix(rows, inFeatures, seed + 1);
              const dy = tensor(randomMatrix(rows, outFeatures, seed + 2));
              const [a, b] = [randomMatrix(2, inFeatures, seed + 4), randomMatrix(outFeatures, 2, seed + 5)];
              const segments: LoraSegment[] = [{ a: tensor(a), b: tensor(b), scale: 2, train: true }];
              const prepare = (given: Float32Array | CompactWeight) =>
                kernels.prepareLinear(given, outFeatures, inFeatures, bias && Float32Array.from(bias));
              const weight = prepare(compact);
              const { y, saved } = kernels.linear(tensor(x), weight, segments);
              await expectClose(y, naiveLinear(x, w, bias, [{ a, b, scale: 2 }]));
              // Other tests check backward over float32 against finite differences.
              const plain = prepare(Float32Array.from(w.values));
              const same = kernels.linear(tensor(x), plain, segments);
              const backward = (of: typeof saved, over: typeof weight) =>
                kernels.linearBackward(dy, of, over, segments, { input: true });
              const [got, expected] = [backward(saved, weight), backward(same.saved, plain)];
              await expectClose(got.dx!, await matrixOf(expected.dx!));
              for (const side of ['a', 'b'] as const)
                await expectClose(got.segments[0]![side], await matrixOf(expected.segments[0]![side]));
              same.saved.dispose();
              plain.dispose();
              saved.dispose();
              weight.dispose();
            });
          },
        ),
        { numRuns: 5 },
      );
    },
  );

  test('a compact weight that is expanded in several parts gives the same numbers', async () => {
    await inScope(async () => {
      const [outFeatures, inFeatures] = [1100, 16_384];
      const blocks = Uint8Array.from(
        { length: (outFeatures * inFeatures * 18) / 32 },
        (_, i) => (i * 37) % 251,
      );
      // d = 2⁻⁶ as a half.
      for (let at = 0; at < blocks.length; at += 18) blocks.set([0x00, 0x24], at);
      const compact: CompactWeight = { format: 'q4_0', blocks };
      const x = tensor(randomMatrix(2, inFeatures, 4));
      const dy = tensor(randomMatrix(2, outFeatures, 5));
      const results: ArrayLike<number>[][] = [];
      for (const given of [compact, expandWeight(compact, outFeatures, inFeatures)]) {
        const weight = kernels.prepareLinear(given, outFeatures, inFeatures);
        const { y, saved } = kernels.linear(x, weight);
        const { dx } = kernels.linearBackward(dy, saved, weight, [], { input: true });
        saved.dispose();
        results.push([await y.data(), (await dx?.data()) ?? []]);
        weight.dispose();
      }
      for (const side of [0, 1]) {
        const [inBlocks, whole] = [results[0]?.[side] ?? [], results[1]?.[side] ?? []];
        const worst = Math.max(...Array.from(inBlocks, (value, i) => Math.abs(value - (whole[i] ?? NaN))));
        expect(worst / Math.max(...Array.from(whole, Math.abs))).toBeLessThan(1e-5);
      }
    });
  });

  test('a compact weight of the wrong size, or with values that are not finite, is an error', () => {
    expect(() => kernels.prepareLinear({ format: 'q4_0', blocks: new Uint8Array(18) }, 2, 32)).toThrow(
      'the blocks of a q4_0 weight [2, 32] must have 36 elements, got 18',
    );
    expect(() => kernels.prepareLinear({ format: 'q4_K', blocks: new Uint8Array(144) }, 1, 128)).toThrow(
      'rows of 128 do not divide into q4_K blocks of 256',
    );
    expect(() => kernels.prepareLinear({ format: 'f16', values: Uint16Array.of(0x7c00) }, 1, 1)).toThrow(
      'value 0 of an f16 weight is not a finite number',
    );
  });
});

test('compressing rounds to the nearest number of the format, and refuses values that it cannot hold', () => {
  const values = Float32Array.from(randomMatrix(4, 64, 7).values);
  // Half the distance between numbers of the format: halves near 1, 1.2 / 127, 1.2 / 8 (where the largest value may be clipped by one), 2.4 / 15.
  const steps = {
    f16: 2 ** -11,
    int8: 1.2 / 127 / 2,
    q8_0: 1.2 / 127 / 2 + 5e-4,
    q4_0: 1.2 / 8,
    q4_1: 2.4 / 15 / 2 + 1e-3,
  };
  for (const format of ['f16', 'int8', 'q8_0', 'q4_0', 'q4_1'] as const) {
    const back = expandWeight(compressWeight(values, 4, 64, format), 4, 64);
    const worst = back.reduce((most, value, i) => Math.max(most, Math.abs(value - (values[i] ?? NaN))), 0);
    expect(worst).toBeLessThanOrEqual(steps[format] * 1.01);
    expect(worst).toBeGreaterThan(steps[format] / 20);
  }
  expect([
    ...expandWeight(compressWeight(Float32Array.of(1e-7, -6e-8, 65_504, 0), 1, 4, 'f16'), 1, 4),
  ]).toEqual([2 ** -23, -(2 ** -24), 65_504, 0]);
  expect(() => compressWeight(Float32Array.of(70_000), 1, 1, 'f16')).toThrow('70000 is too large for f16');
  expect(() => compressWeight(new Float32Array(33), 1, 33, 'q4_1')).toThrow('rows of 33 do not divide');
});
