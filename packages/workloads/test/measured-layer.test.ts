import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { openKernels } from '@contextlora/kernels';
import * as tf from '@contextlora/kernels/tfjs';
import { loadModel } from '@contextlora/model';
import { measuredLayer } from '@contextlora/workloads';
import { expect, test } from '@jest/globals';

const baseModel = join(
  dirname(createRequire(import.meta.url).resolve('@contextlora/benchmarks/package.json')),
  'models/iov-base',
);

test('a measured layer counts its products by kind of work and frees every tensor', async () => {
  const base = await loadModel(baseModel, { kernels: await openKernels({ threads: 1 }) });
  const before = tf.memory().numTensors;
  const layer = measuredLayer(base, { rank: 4 });
  const flopsOf = (tokens: number) =>
    (['forward', 'input', 'weight'] as const).map((kind) => layer.flops(kind, tokens));
  const [forward = 0, input = 0, weight = 0] = flopsOf(16);
  // The gradient of the input repeats all products of a frozen layer; only segments have weight gradients.
  expect(input / forward).toBeGreaterThan(0.9);
  expect(weight).toBeGreaterThan(0);
  expect(weight).toBeLessThan(0.5 * forward);
  // Products with weights grow with the number of tokens, attention with its square.
  expect(flopsOf(32)[0]! / forward).toBeGreaterThanOrEqual(2);
  for (const tokens of [8, 8, 16]) {
    layer.backwardInput(tokens);
    layer.forward(tokens);
    layer.backwardBoth(tokens);
  }
  layer.dispose();
  expect(tf.memory().numTensors).toBe(before);
});
