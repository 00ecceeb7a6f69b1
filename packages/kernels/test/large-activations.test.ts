import { describe, expect, test } from '@jest/globals';
import { type Kernels } from '@contextlora/kernels';
import * as tf from '@tensorflow/tfjs-core';

import { backends, useBackend } from './backends.js';

// Large enough that the onnx backend takes its runtime's exponential, and no multiple of any vector's width.
const [rows, columns] = [131, 257];
const size = rows * columns;
const values = (slope: number, span: number) =>
  Float32Array.from({ length: size }, (_, i) => span * Math.sin(slope * i) + (i % 97 === 0 ? 4 * span : 0));
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

describe.each(backends)('the %s backend', (backend) => {
  let kernels: Kernels;
  useBackend(backend, (opened) => {
    kernels = opened;
  });

  test('SwiGLU of many values, large ones among them, equals float64, forward and backward', () => {
    const [gate, up, dy] = [values(0.7, 30), values(1.3, 2), values(2.1, 1)];
    tf.tidy(() => {
      const of = (data: Float32Array) => tf.tensor2d(data, [rows, columns]);
      const { y, saved } = kernels.swiglu(of(gate), of(up));
      const { dGate, dUp } = kernels.swigluBackward(of(dy), saved);
      const [got, gotGate, gotUp] = [y.dataSync(), dGate.dataSync(), dUp.dataSync()];
      for (let i = 0; i < size; i++) {
        const [g, u, d] = [gate[i]!, up[i]!, dy[i]!];
        const s = sigmoid(g);
        // By the size of what is added up: the slope has a zero, where nothing is left of it.
        const near = (value: number, expected: number, magnitude: number) => {
          if (!(Math.abs(value - expected) <= 1e-6 * magnitude + 1e-37))
            throw new Error(`element ${i}: ${value} where ${expected} is right`);
        };
        near(got[i]!, g * s * u, Math.abs(g * s * u));
        near(gotUp[i]!, d * g * s, Math.abs(d * g * s));
        near(gotGate[i]!, d * u * (s + g * s * (1 - s)), Math.abs(d * u * s * (1 + Math.abs(g))));
      }
      expect(got).toHaveLength(size);
      saved.dispose();
    });
  });
});
