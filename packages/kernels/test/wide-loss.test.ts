import { describe, expect, test } from '@jest/globals';
import { type Kernels } from '@contextlora/kernels';
import * as tf from '@contextlora/kernels/tfjs';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { backends, useBackend } from './backends.js';
import { inScope } from './tensors.js';

/** Losses of PyTorch over 49,152 columns (fixtures/make-wide-loss.py). */
const cases = JSON.parse(
  readFileSync(join(import.meta.dirname, 'fixtures', 'wide-loss.json'), 'utf8'),
) as readonly {
  readonly scale: number;
  readonly float32: number;
  readonly float64: number;
  readonly gradient: Readonly<Record<string, number>>;
}[];

const [rows, columns] = [4, 49_152];

describe.each(backends)('the %s backend', (backend) => {
  let kernels: Kernels;
  useBackend(backend, (opened) => {
    kernels = opened;
  });

  test.each(cases.map((entry) => [entry.scale, entry] as const))(
    'gives the loss and gradient of PyTorch over a vocabulary of 49,152 with logits up to %d',
    async (scale, { float32, float64, gradient }) => {
      await inScope(async () => {
        const logits = Float32Array.from(
          { length: rows * columns },
          (_, i) => scale * Math.sin((i % columns) * (Math.floor(i / columns) + 1) * 0.7),
        );
        const targets = Int32Array.from({ length: rows }, (_, row) => (row * 12_289) % columns);
        const weights = new Float32Array(rows).fill(1 / rows);
        const { loss, dLogits } = kernels.crossEntropy(
          tf.tensor2d(logits, [rows, columns]),
          targets,
          weights,
        );
        expect(Math.abs((await loss) - float64)).toBeLessThan(2e-6);
        expect(Math.abs((await loss) - float32)).toBeLessThan(1e-5);
        const values = await dLogits.data();
        for (const [column, expected] of Object.entries(gradient))
          expect(Math.abs(values[columns + Number(column)]! - expected)).toBeLessThan(
            1e-9 + 1e-5 * Math.abs(expected),
          );
      });
    },
  );
});
