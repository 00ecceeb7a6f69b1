import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { lion, type LionOptions, sgd, type SgdOptions } from '@contextlora/kernels';
import { describe, expect, test } from '@jest/globals';

type Options =
  Omit<SgdOptions, 'learningRate' | 'gradientScale'> | Omit<LionOptions, 'learningRate' | 'gradientScale'>;
/** Twenty steps in PyTorch (fixtures/make-optimizers.py). */
const cases = JSON.parse(readFileSync(join(import.meta.dirname, 'fixtures/optimizers.json'), 'utf8')) as {
  readonly learningRate: number;
  readonly options: Options;
  readonly parameters: readonly number[];
}[];

/** `scale` divides the gradients, and is given as the factor that undoes this. */
function follow(
  options: Options,
  { rate, length, scale }: { rate: number; length: number; scale: number },
): Float32Array {
  const parameters = Float32Array.from({ length }, (_, i) => Math.cos(i));
  const buffer = new Float32Array('momentum' in options && options.momentum === 0 ? 0 : length);
  for (let step = 0; step < 20; step++) {
    const gradients = Float32Array.from(
      { length },
      (_, i) => Math.sin(3 * i + 2 * step) / (step + 1) / scale,
    );
    const shared = { learningRate: rate * (1 - step / 20), gradientScale: scale };
    if ('momentum' in options) sgd(parameters, gradients, buffer, { ...options, ...shared });
    else lion(parameters, gradients, buffer, { ...options, ...shared });
  }
  return parameters;
}

describe('twenty steps end with the numbers of PyTorch', () => {
  test.each(cases.map((entry) => [JSON.stringify(entry.options), entry] as const))('%s', (_, entry) => {
    const { options, learningRate: rate, parameters: expected } = entry;
    for (const scale of [1, 4]) {
      const found = follow(options, { rate, scale, length: expected.length });
      expect(Math.max(...found.map((value, i) => Math.abs(value - (expected[i] ?? NaN))))).toBeLessThan(1e-6);
    }
  });
});

test('a number without a gradient moves by its decay alone, and Lion moves every other by the rate', () => {
  const parameters = Float32Array.of(1, 1, 1);
  lion(parameters, Float32Array.of(0, 1e-20, -5), new Float32Array(3), {
    ...{ learningRate: 0.25, beta1: 0.9, beta2: 0.99, weightDecay: 1, gradientScale: 1 },
  });
  expect([...parameters]).toEqual([0.75, 0.5, 1]);
});

test('buffers of other lengths are refused by name', () => {
  const [three, two, none] = [new Float32Array(3), new Float32Array(2), new Float32Array(0)];
  const shared = { learningRate: 0.1, weightDecay: 0, gradientScale: 1 };
  expect(() => {
    sgd(three, three, two, { ...shared, momentum: 0.9, nesterov: false });
  }).toThrow('kernels/sgd: momentumBuffer must have 3 elements, got 2');
  expect(() => {
    sgd(three, three, three, { ...shared, momentum: 0, nesterov: false });
  }).toThrow('kernels/sgd: momentumBuffer must have 0 elements, got 3');
  expect(() => {
    lion(three, two, none, { ...shared, beta1: 0.9, beta2: 0.99 });
  }).toThrow('kernels/lion: gradients must have 3 elements, got 2');
});
