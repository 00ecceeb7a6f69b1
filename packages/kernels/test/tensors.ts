/** Random matrices, tensors of them, and comparison, for the tests of operations. */
import * as tf from '@contextlora/kernels/tfjs';
import { expect } from '@jest/globals';
import fc from 'fast-check';

import { type Matrix, matrix } from './naive.js';

/** A random matrix from a seed, with values between −1.2 and 1.2. */
export function randomMatrix(rows: number, columns: number, seed: number): Matrix {
  let state = seed * 2654435761 + 12345;
  return matrix(rows, columns, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.fround((state / 2 ** 32) * 2.4 - 1.2);
  });
}
export const randomRow = (length: number, seed: number) => randomMatrix(1, length, seed).values;
export const tensor = ({ rows, columns, values }: Matrix) =>
  tf.tensor2d(Float32Array.from(values), [rows, columns]);

/** The values of a tensor, as one row unless it is a matrix. */
export async function matrixOf(of: tf.Tensor): Promise<Matrix> {
  const columns = of.shape.at(-1) ?? 1;
  return { rows: of.size / columns, columns, values: Float64Array.from(await of.data()) };
}

export async function expectClose(actual: tf.Tensor, expected: Matrix, tolerance = 1e-5): Promise<void> {
  const values = await actual.data();
  expect(values.length).toBe(expected.values.length);
  const scale = Math.max(1, ...expected.values.map(Math.abs));
  const worst = Math.max(0, ...expected.values.map((value, i) => Math.abs(value - (values[i] ?? NaN))));
  expect(worst / scale).toBeLessThan(tolerance);
}

export const sizes = fc.record({
  rows: fc.integer({ min: 1, max: 5 }),
  inFeatures: fc.integer({ min: 1, max: 7 }),
  outFeatures: fc.integer({ min: 1, max: 6 }),
  seed: fc.integer({ min: 1, max: 1e6 }),
});
export const fewRuns = { numRuns: 15 };

/** Runs a test's body and frees every tensor it leaves. */
export async function inScope(body: () => void | Promise<void>): Promise<void> {
  tf.engine().startScope();
  try {
    await body();
  } finally {
    tf.engine().endScope();
  }
}
