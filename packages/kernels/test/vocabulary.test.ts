import { describe, expect, test } from '@jest/globals';
import { type Kernels, type LoraSegment } from '@contextlora/kernels';
import * as tf from '@contextlora/kernels/tfjs';
import fc from 'fast-check';

import { backends, useBackend } from './backends.js';
import { at, elementwise, erf, matrix, naiveLinear, numericGradient, type Matrix } from './naive.js';
import { expectClose, fewRuns, inScope, randomMatrix, sizes, tensor } from './tensors.js';

/** Σ weight · (log Σ exp(logits) − logit of the target) in float64. */
function naiveCrossEntropy(logits: Matrix, targets: Int32Array, weights: Float32Array): number {
  let loss = 0;
  for (let row = 0; row < logits.rows; row++) {
    const values = Array.from({ length: logits.columns }, (_, column) => at(logits, row, column));
    const logTotal = Math.log(values.reduce((sum, value) => sum + Math.exp(value), 0));
    loss += (weights[row] ?? NaN) * (logTotal - (values[targets[row] ?? -1] ?? NaN));
  }
  return loss;
}

describe.each(backends)('the %s backend', (backend) => {
  let kernels: Kernels;
  useBackend(backend, (opened) => {
    kernels = opened;
  });

  test('the loss of a head and its gradient equal the definition, for any number of rows', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, async ({ rows, inFeatures, outFeatures, seed }) => {
        await inScope(async () => {
          const x = randomMatrix(rows, inFeatures, seed);
          const w = randomMatrix(outFeatures, inFeatures, seed + 1);
          const targets = Int32Array.from({ length: rows }, (_, row) => (row + seed) % outFeatures);
          const weights = Float32Array.from({ length: rows }, (_, row) =>
            row % 3 === 2 ? 0 : 1 / (row + 1),
          );
          const weight = kernels.prepareLinear(Float32Array.from(w.values), outFeatures, inFeatures);
          const loss = () => naiveCrossEntropy(naiveLinear(x, w, undefined, []), targets, weights);
          const both = kernels.linearCrossEntropy(tensor(x), weight, targets, weights, { input: true });
          expect(await both.loss).toBeCloseTo(loss(), 5);
          const one = matrix(1, 1, () => 1);
          await expectClose(
            both.dx as tf.Tensor,
            numericGradient(x, one, () => matrix(1, 1, loss)),
          );
          const without = kernels.linearCrossEntropy(tensor(x), weight, targets, weights, { input: false });
          expect(without.dx).toBeNull();
          expect(await without.loss).toBe(await both.loss);
          weight.dispose();
        });
      }),
      fewRuns,
    );
  });

  // The reference backend holds all logits at once and would take a minute.
  const testFast = backend === 'reference' || backend === 'webgpu' ? test.skip : test;
  testFast('logits too large to exist at once give the loss and gradients of smaller parts', async () => {
    await inScope(async () => {
      const [rows, features, vocabulary] = [300, 2, 80_000];
      const weight = kernels.prepareLinear(
        Float32Array.from(randomMatrix(vocabulary, features, 4).values),
        vocabulary,
        features,
      );
      const x = tensor(randomMatrix(rows, features, 3));
      const targets = Int32Array.from({ length: rows }, (_, row) => row * 266);
      const weights = new Float32Array(rows).fill(1 / rows);
      const all = kernels.linearCrossEntropy(x, weight, targets, weights, { input: true });
      const gradient = (await all.dx?.data()) ?? [];
      let loss = 0;
      for (const start of [0, 77]) {
        const end = start === 0 ? 77 : rows;
        const part = kernels.linearCrossEntropy(
          tf.slice(x, [start, 0], [end - start, features]),
          weight,
          targets.subarray(start, end),
          weights.subarray(start, end),
          { input: true },
        );
        loss += await part.loss;
        for (const [i, value] of ((await part.dx?.data()) ?? []).entries())
          expect(gradient[start * features + i]).toBeCloseTo(value, 6);
      }
      expect(await all.loss).toBeCloseTo(loss, 5);
      weight.dispose();
    });
  });

  test('embeddings are rows of a table, and an id outside it is an error', async () => {
    await inScope(async () => {
      const table = Float32Array.of(1, 2, 3, 4, 5, 6);
      expect([...(await kernels.embedding(table, Int32Array.of(2, 0, 2), 2).data())]).toEqual([
        5, 6, 1, 2, 5, 6,
      ]);
      expect(() => kernels.embedding(table, Int32Array.of(0, 3), 2)).toThrow(
        'kernels/embedding: index 1 is 3, and there are 3 rows',
      );
      expect(() => kernels.gatherRows(tf.zeros([2, 2]), Int32Array.of(-1))).toThrow('kernels/gatherRows');
    });
  });

  test('patch embedding equals a convolution, and its segments get their gradients', async () => {
    await inScope(async () => {
      const shape = { imageSizePixels: 4, patchSizePixels: 2, channels: 3 };
      const images = [1, 2].map((seed) => Float32Array.from(randomMatrix(1, 48, seed).values));
      const w = randomMatrix(5, 12, 9);
      const [a, b] = [randomMatrix(2, 12, 10), randomMatrix(5, 2, 11)];
      // Patch (py, px) of image i reads channel c, row y, column x at c·16 + (2·py + y)·4 + 2·px + x.
      const patches = matrix(8, 12, (row, column) => {
        const [i, py, px] = [row >> 2, (row >> 1) & 1, row & 1];
        const [c, y, x] = [Math.floor(column / 4), (column >> 1) & 1, column & 1];
        return images[i]?.[c * 16 + (2 * py + y) * 4 + 2 * px + x] ?? NaN;
      });
      const segments: LoraSegment[] = [{ a: tensor(a), b: tensor(b), scale: 2, train: true }];
      const weight = kernels.prepareLinear(Float32Array.from(w.values), 5, 12);
      const { y, saved } = kernels.patchEmbedding(images, weight, shape, segments);
      const define = () => naiveLinear(patches, w, undefined, [{ a, b, scale: 2 }]);
      await expectClose(y, define());
      const dy = randomMatrix(8, 5, 12);
      const { dx, segments: gradients } = kernels.linearBackward(tensor(dy), saved, weight, segments, {
        input: false,
      });
      expect(dx).toBeNull();
      await expectClose(gradients[0]?.a as tf.Tensor, numericGradient(a, dy, define));
      await expectClose(gradients[0]?.b as tf.Tensor, numericGradient(b, dy, define));
      expect(() => kernels.patchEmbedding(images, weight, { ...shape, patchSizePixels: 3 })).toThrow(
        '4 pixels do not divide into patches of 3',
      );
      saved.dispose();
      weight.dispose();
    });
  });

  test('GEGLU equals its definition with every variant, forward and backward', async () => {
    const gelus = {
      tanh: (x: number) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
      erf: (x: number) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
      quick: (x: number) => x / (1 + Math.exp(-1.702 * x)),
    };
    await fc.assert(
      fc.asyncProperty(
        sizes,
        fc.constantFrom('tanh', 'erf', 'quick'),
        async ({ rows, inFeatures, seed }, variant) => {
          await inScope(async () => {
            const gate = randomMatrix(rows, inFeatures, seed);
            const up = randomMatrix(rows, inFeatures, seed + 1);
            const dy = randomMatrix(rows, inFeatures, seed + 2);
            const define = () => elementwise(gate, (g, i) => gelus[variant](g) * (up.values[i] ?? NaN));
            const { y, saved } = kernels.geglu(tensor(gate), tensor(up), variant);
            await expectClose(y, define());
            const { dGate, dUp } = kernels.gegluBackward(tensor(dy), saved);
            await expectClose(dGate, numericGradient(gate, dy, define));
            await expectClose(dUp, numericGradient(up, dy, define));
          });
        },
      ),
      fewRuns,
    );
  });

  test('AdamW follows its formula in float64 over many steps and buffers longer than one stretch', () => {
    const length = 20_001;
    const start = randomMatrix(1, length, 5).values;
    const p = Float32Array.from(start);
    const [m, v] = [new Float32Array(length), new Float32Array(length)];
    const [P, M, V] = [Float64Array.from(start), new Float64Array(length), new Float64Array(length)];
    const options = { learningRate: 1e-2, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0.1 };
    for (let step = 1; step <= 5; step++) {
      const g = Float32Array.from(randomMatrix(1, length, 100 + step).values);
      kernels.adamW(p, g, m, v, { ...options, step, gradientScale: 0.5 });
      for (let i = 0; i < length; i++) {
        const gradient = 0.5 * (g[i] ?? NaN);
        M[i] = 0.9 * (M[i] ?? NaN) + 0.1 * gradient;
        V[i] = 0.99 * (V[i] ?? NaN) + 0.01 * gradient ** 2;
        const root = Math.sqrt((V[i] ?? NaN) / (1 - 0.99 ** step)) + 1e-8;
        P[i] = (P[i] ?? NaN) * (1 - 1e-3) - (1e-2 * ((M[i] ?? NaN) / (1 - 0.9 ** step))) / root;
      }
    }
    const worst = p.reduce((most, value, i) => Math.max(most, Math.abs(value - (P[i] ?? NaN))), 0);
    expect(worst).toBeLessThan(1e-5);
  });
});
