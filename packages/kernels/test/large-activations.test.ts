import { describe, expect, test } from '@jest/globals';
import { type Kernels } from '@contextlora/kernels';
import * as tf from '@contextlora/kernels/tfjs';

import { backends, useBackend } from './backends.js';

// So many columns that the onnx backend uses the exponential of its runtime.
const [rows, columns] = [131, 272];
const size = rows * columns;
const values = (slope: number, span: number) =>
  Float32Array.from({ length: size }, (_, i) => span * Math.sin(slope * i) + (i % 97 === 0 ? 4 * span : 0));
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

describe.each(backends)('the %s backend', (backend) => {
  let kernels: Kernels;
  useBackend(backend, (opened) => {
    kernels = opened;
  });

  test('SwiGLU of many values, some of them large, equals its definition in float64, forward and backward', () => {
    const [gate, up, dy] = [values(0.7, 30), values(1.3, 2), values(2.1, 1)];
    tf.tidy(() => {
      const of = (data: Float32Array) => tf.tensor2d(data, [rows, columns]);
      const { y, saved } = kernels.swiglu(of(gate), of(up));
      const { dGate, dUp } = kernels.swigluBackward(of(dy), saved);
      const [got, gotGate, gotUp] = [y.dataSync(), dGate.dataSync(), dUp.dataSync()];
      for (let i = 0; i < size; i++) {
        const [g, u, d] = [gate[i]!, up[i]!, dy[i]!];
        const s = sigmoid(g);
        // Relative to the size of the terms: the slope has a zero, where they cancel out.
        const near = (value: number, expected: number, magnitude: number) => {
          if (!(Math.abs(value - expected) <= 1e-6 * magnitude + 1e-37))
            throw new Error(`element ${i} is ${value}, expected ${expected}`);
        };
        near(got[i]!, g * s * u, Math.abs(g * s * u));
        near(gotUp[i]!, d * g * s, Math.abs(d * g * s));
        near(gotGate[i]!, d * u * (s + g * s * (1 - s)), Math.abs(d * u * s * (1 + Math.abs(g))));
      }
      expect(got).toHaveLength(size);
      saved.dispose();
    });
  });

  test.each([64, 250, 272])(
    'a row of SwiGLU with %i columns has the same bits among five rows and among all',
    (width) => {
      const [gate, up] = [values(0.7, 30), values(1.3, 2)];
      const of = (count: number) =>
        tf.tidy(() => {
          const part = (data: Float32Array) => tf.tensor2d(data.subarray(0, count * width), [count, width]);
          return kernels.swiglu(part(gate), part(up)).y.dataSync();
        });
      expect(of(5)).toEqual(of(rows).slice(0, 5 * width));
    },
  );
});
