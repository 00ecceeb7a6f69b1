import { describe, expect, test } from '@jest/globals';
import {
  integerKindOf,
  integerWeight,
  type Kernels,
  loadOnnxRuntime,
  openKernels,
  type OnnxGraph,
  type OnnxRuntime,
} from '@contextlora/kernels';
import * as tf from '@contextlora/kernels/tfjs';
import fc from 'fast-check';

import { backends, useBackend } from './backends.js';
import { type Matrix, matrix, naiveLinear } from './naive.js';
import { expectClose, inScope, matrixOf, randomMatrix, tensor } from './tensors.js';

/** The rotation by definition: within a block of a power of two, element (i, j) is (−1)^(number of common bits) / √size. */
function rotated({ rows, columns, values }: Matrix): Matrix {
  const parity = (bits: number) => bits.toString(2).replaceAll('0', '').length % 2;
  const signs = Array.from({ length: 64 }, (_, i) =>
    Array.from({ length: 64 }, (__, j) => (parity(i & j) === 0 ? 1 : -1)),
  );
  return matrix(rows, columns, (row, column) => {
    const sizeAt = (at: number) => (columns - at >= 64 ? 64 : 2 ** Math.floor(Math.log2(columns - at)));
    let start = 0;
    while (column >= start + sizeAt(start)) start += sizeAt(start);
    const size = sizeAt(start);
    let sum = 0;
    for (let i = 0; i < size; i++) sum += signs[i]![column - start]! * values[row * columns + start + i]!;
    return sum / Math.sqrt(size);
  });
}
const floats = ({ values }: Matrix) => Float32Array.from(values);
const bitsOf = async (of: tf.Tensor) => [...new Uint32Array((await of.data<'float32'>()).slice().buffer)];

const shapes = fc.record({
  rows: fc.integer({ min: 1, max: 39 }),
  inFeatures: fc.integer({ min: 1, max: 150 }),
  outFeatures: fc.integer({ min: 1, max: 70 }),
  seed: fc.integer({ min: 1, max: 1e6 }),
  withBias: fc.boolean(),
});

/** y and dx of an integer weight in a backend. */
function bothSides(
  kernels: Kernels,
  { x, dy, w, bias }: { x: Matrix; dy: Matrix; w: Matrix; bias?: Float32Array | undefined },
) {
  const weight = kernels.prepareLinear(
    integerWeight(floats(w), w.rows, w.columns),
    ...[w.rows, w.columns],
    bias,
  );
  const { y, saved } = kernels.linear(tensor(x), weight);
  const { dx } = kernels.linearBackward(tensor(dy), saved, weight, [], { input: true });
  saved.dispose();
  weight.dispose();
  return { y, dx: dx! };
}

describe.each(backends)('an integer weight in the %s backend', (backend) => {
  let kernels: Kernels;
  useBackend(backend, (opened) => {
    kernels = opened;
  });

  test('is the rotated weight in steps of a 127th of its rows, and products with it are near those of floats', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, async ({ rows, inFeatures, outFeatures, seed, withBias }) => {
        await inScope(async () => {
          const [x, w] = [
            randomMatrix(rows, inFeatures, seed),
            randomMatrix(outFeatures, inFeatures, seed + 1),
          ];
          const dy = randomMatrix(rows, outFeatures, seed + 2);
          const bias = withBias ? floats(randomMatrix(1, outFeatures, seed + 3)) : undefined;
          const { values, scales } = integerWeight(floats(w), outFeatures, inFeatures);
          for (const [i, value] of rotated(w).values.entries()) {
            const scale = scales[Math.floor(i / inFeatures)]!;
            expect(Math.abs(value - values[i]! * scale)).toBeLessThanOrEqual(scale * 0.501);
          }
          const { y, dx } = bothSides(kernels, { x, dy, w, bias });
          // Each of two factors is off by at most half a step of a 127th of the largest of its row, and errors of k terms grow as √k.
          const spread = (terms: number) => (4 * Math.sqrt(terms) * 1.2 * 1.2) / 127;
          const got = await matrixOf(y);
          const near = (of: Matrix, wanted: Matrix, terms: number) => {
            const worst = Math.max(...of.values.map((value, i) => Math.abs(value - wanted.values[i]!)));
            expect(worst).toBeLessThan(spread(terms));
          };
          near(got, naiveLinear(x, w, bias && Float64Array.from(bias), []), inFeatures);
          const transposed = matrix(inFeatures, outFeatures, (i, j) => w.values[j * inFeatures + i]!);
          near(await matrixOf(dx), naiveLinear(dy, transposed, undefined, []), outFeatures);
        });
      }),
      { numRuns: 8 },
    );
  });

  test('an outlier in the input costs a hundredth of it, not the other values of its row', async () => {
    await inScope(async () => {
      const [x, w] = [randomMatrix(5, 128, 1), randomMatrix(40, 128, 2)];
      for (let row = 0; row < 5; row++) x.values[row * 128 + 17] = 100;
      const { y } = bothSides(kernels, { x, w, dy: randomMatrix(5, 40, 3) });
      const wanted = naiveLinear(x, w, undefined, []);
      const error = (await matrixOf(y)).values.reduce((sum, v, i) => sum + (v - wanted.values[i]!) ** 2, 0);
      // Rounded without a rotation, the error would be 0.29 of a step of 100 / 127 for each of 128 values: 1.8.
      expect(Math.sqrt(error / 200)).toBeLessThan(0.7);
    });
  });

  test.each([64, 1536, 4864])('sums of %d of the largest bytes are exact', async (k) => {
    await inScope(async () => {
      const signs = (rows: number, seed: number) =>
        matrix(rows, k, (row, i) => ((row * 7 + i * 3 + seed) % (5 + row) === 0 ? -1 : 1));
      const [a, b] = [signs(6, 0), signs(7, 1)];
      // Rotated, these are rows of ones and minus ones, which are the bytes 127 and −127.
      const [x, w] = [rotated(a), rotated(b)];
      const { y } = bothSides(kernels, { x, w, dy: randomMatrix(6, 7, 3) });
      expect(integerWeight(floats(w), 7, k).values.every((value) => Math.abs(value) === 127)).toBe(true);
      const exact = naiveLinear(a, b, undefined, []);
      const got = (await matrixOf(y)).values;
      for (const [i, value] of exact.values.entries()) expect(got[i]).toBeCloseTo(value, 2);
    });
  });

  test('a row that is not finite makes its own results NaN and changes no other', async () => {
    await inScope(async () => {
      const [x, w, dy] = [randomMatrix(9, 70, 1), randomMatrix(33, 70, 2), randomMatrix(9, 33, 3)];
      const clean = bothSides(kernels, { x, w, dy });
      for (const hostile of [NaN, Infinity, -Infinity]) {
        const bad = { x: { ...x, values: x.values.slice() }, dy: { ...dy, values: dy.values.slice() } };
        bad.x.values[2 * 70 + 69] = hostile;
        bad.dy.values[4 * 33 + 1] = hostile;
        const { y, dx } = bothSides(kernels, { ...bad, w });
        for (const [got, before, row] of [
          [await matrixOf(y), await matrixOf(clean.y), 2],
          [await matrixOf(dx), await matrixOf(clean.dx), 4],
        ] as const)
          for (const [i, value] of got.values.entries())
            if (Math.floor(i / got.columns) === row) expect(value).toBeNaN();
            else expect(value).toBe(before.values[i]);
      }
    });
  });

  test('a row of zeros or of numbers below 10⁻³⁶ gives the bias', async () => {
    await inScope(async () => {
      const bias = Float32Array.of(1, 2, 3);
      for (const value of [0, 1e-40, -1e-37]) {
        const x = matrix(2, 5, () => value);
        const { y } = bothSides(kernels, { x, w: randomMatrix(3, 5, 1), dy: matrix(2, 3, () => 0), bias });
        await expectClose(y, { rows: 2, columns: 3, values: Float64Array.of(1, 2, 3, 1, 2, 3) }, 1e-30);
      }
    });
  });

  test('segments, and weights that share an input, compute as over a float base', async () => {
    await inScope(async () => {
      const [x, a, b] = [randomMatrix(6, 70, 1), randomMatrix(2, 70, 2), randomMatrix(20, 2, 3)];
      const segment = { a: tensor(a), b: tensor(b), scale: 2, train: true };
      const zero = integerWeight(new Float32Array(20 * 70), 20, 70);
      const weight = kernels.prepareLinear(zero, 20, 70);
      const other = kernels.prepareLinear(integerWeight(floats(randomMatrix(20, 70, 5)), 20, 70), 20, 70);
      const [input, second] = [tensor(x), tensor(randomMatrix(6, 70, 9))];
      const first = kernels.linear(input, other).y;
      const { y, saved } = kernels.linear(input, weight, [segment]);
      kernels.linear(second, other);
      expect(await bitsOf(kernels.linear(input, other).y)).toEqual(await bitsOf(first));
      await expectClose(
        y,
        naiveLinear(
          x,
          matrix(20, 70, () => 0),
          undefined,
          [{ a, b, scale: 2 }],
        ),
      );
      const dy = tensor(randomMatrix(6, 20, 4));
      const over = (base: typeof weight) =>
        kernels.linearBackward(dy, saved, base, [segment], { input: true });
      const floatZero = kernels.prepareLinear(new Float32Array(20 * 70), 20, 70);
      const [got, wanted] = [over(weight), over(floatZero)];
      await expectClose(got.dx!, await matrixOf(wanted.dx!));
      for (const side of ['a', 'b'] as const)
        await expectClose(got.segments[0]![side], await matrixOf(wanted.segments[0]![side]));
      saved.dispose();
      for (const one of [weight, other, floatZero]) one.dispose();
    });
  });

  test('a weight of the wrong size is an error', () => {
    const weight = { format: 'w8a8', values: new Int8Array(6), scales: new Float32Array(2) } as const;
    expect(() => kernels.prepareLinear(weight, 2, 4)).toThrow(
      'the values of a w8a8 weight [2, 4] must have 8 elements, got 6',
    );
    expect(() => kernels.prepareLinear({ ...weight, scales: new Float32Array(1) }, 2, 3)).toThrow(
      'the scales of a w8a8 weight [2, 3] must have 2 elements, got 1',
    );
  });
});

test('every backend gives the same bits, with any number of threads', async () => {
  const opened = [
    await openKernels({ prefer: 'reference' }),
    await openKernels({ prefer: 'wasm' }),
    await openKernels({ prefer: 'onnx' }),
    await openKernels({ prefer: 'onnx', threads: 2 }),
  ];
  await fc.assert(
    fc.asyncProperty(shapes, async ({ rows, inFeatures, outFeatures, seed, withBias }) => {
      await inScope(async () => {
        const [x, w] = [
          randomMatrix(rows, inFeatures, seed),
          randomMatrix(outFeatures, inFeatures, seed + 1),
        ];
        x.values[seed % x.values.length]! *= 1e4;
        const dy = randomMatrix(rows, outFeatures, seed + 2);
        const bias = withBias ? floats(randomMatrix(1, outFeatures, seed + 3)) : undefined;
        const [first, ...others] = opened.map((kernels) => bothSides(kernels, { x, dy, w, bias }));
        for (const other of others)
          for (const side of ['y', 'dx'] as const)
            expect(await bitsOf(other[side])).toEqual(await bitsOf(first![side]));
      });
    }),
    { numRuns: 15 },
  );
  for (const kernels of opened) kernels.dispose();
});

test('a weight that is too wide or too large for exact sums is refused', () => {
  expect(() => integerWeight(new Float32Array(65_537), 1, 65_537)).toThrow(
    'kernels/integerWeight: sums of [1, 65537] in w8a8 may exceed 32 bits (at most 65536 either way); keep this weight in f32',
  );
  expect(() => integerWeight(new Float32Array(64).fill(3e38), 1, 64)).toThrow(
    'row 0 has values that are too large for w8a8; keep this weight in f32',
  );
});

describe('the products of bytes of a runtime', () => {
  /** A runtime whose MatMulInteger adds pairs as the given function does. */
  const runtimeWith = (pair: (p: number, q: number, isSigned: boolean) => number): OnnxRuntime => ({
    load({ types }: OnnxGraph) {
      const isSigned = types?.['b'] === 'int8';
      return {
        run({ a, b }, { c }) {
          const [m, k] = a!.shape as [number, number];
          const n = b!.shape[1]!;
          for (let row = 0; row < m; row++)
            for (let column = 0; column < n; column++) {
              let sum = 0;
              for (let i = 0; i < k; i += 2) {
                const term = (at: number) =>
                  at < k ? a!.values[row * k + at]! * b!.values[at * n + column]! : 0;
                sum += pair(term(i), term(i + 1), isSigned);
                for (const at of [i, i + 1]) {
                  if (at >= k) continue;
                  sum -= 128 * b!.values[at * n + column]!;
                  if (!isSigned) sum -= 128 * a!.values[row * k + at]! - 128 * 128;
                }
              }
              c!.values[row * n + column] = sum;
            }
        },
        dispose: () => undefined,
      };
    },
  });
  const saturated = (p: number, q: number) => Math.max(-32_768, Math.min(32_767, p + q));

  test('are the signed ones where those are exact, as on this machine or one with dot products', () => {
    expect(integerKindOf(runtimeWith((p, q) => p + q))).toBe('signed');
    const runtime = loadOnnxRuntime();
    if (typeof runtime === 'string') throw new Error(runtime);
    expect(integerKindOf(runtime)).not.toBeNull();
  });

  test('are the unsigned ones where pairs of signed bytes saturate, and none where all do', () => {
    expect(integerKindOf(runtimeWith((p, q, signed) => (signed ? saturated(p, q) : p + q)))).toBe('unsigned');
    expect(integerKindOf(runtimeWith(saturated))).toBeNull();
  });
});
