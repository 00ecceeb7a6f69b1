import { describe, expect, test } from '@jest/globals';
import { measureRates, undisturbed } from '@contextlora/jetson';
import fc from 'fast-check';

import { fakeLayer } from './fake-layer.js';

describe('measured rates', () => {
  test('are those of the layer, from five rounds on a steady machine', () => {
    const { layer, clock, passes } = fakeLayer();
    const measured = measureRates(layer, { clock, budgetSeconds: 1000, tolerance: 0.05, tokens: 64 });
    expect(measured.forward.flopsPerSecond).toBeCloseTo(1e9, -2);
    expect(measured.input.flopsPerSecond).toBeCloseTo(2e9, -2);
    expect(measured.weight.flopsPerSecond).toBeCloseTo(4e9, -2);
    expect(measured).toMatchObject({ tokens: 64, settled: true });
    expect(measured.weight.repetitions).toBe(5);
    expect(passes()).toBe(21);
  });

  test.each([
    // Forward takes 3 ms a token.
    [1, 14],
    [0.01, 64],
    [64, 1],
  ])('repeat passes of %s tokens %s times, so that a timing takes 40 ms where it can', (tokens, repeats) => {
    const { layer, clock, passes } = fakeLayer();
    measureRates(layer, { clock, budgetSeconds: 1000, tolerance: 0.05, tokens });
    expect(passes()).toBe(3 * (2 + 5 * repeats));
  });

  test('are not affected by a slow first round or single outliers', () => {
    const { layer, clock } = fakeLayer({ slowdown: (pass) => (pass < 3 || pass % 21 === 4 ? 50 : 1) });
    const measured = measureRates(layer, { clock, budgetSeconds: 1000, tolerance: 0.05 });
    expect(measured.forward.flopsPerSecond).toBeCloseTo(1e9, -2);
    expect(measured.settled).toBe(true);
  });

  test('are repeated until the budget is spent if they scatter, and their quartiles enclose the median', () => {
    const { layer, clock } = fakeLayer({ slowdown: (pass) => 1 + ((pass * 7) % 5) / 5 });
    const measured = measureRates(layer, { clock, budgetSeconds: 60, tolerance: 0.01 });
    expect(measured.settled).toBe(false);
    expect(measured.seconds).toBeGreaterThanOrEqual(60);
    expect(measured.forward.repetitions).toBeGreaterThan(5);
    for (const { lowerQuartile, flopsPerSecond, upperQuartile } of [measured.forward, measured.input]) {
      expect(lowerQuartile).toBeLessThan(flopsPerSecond);
      expect(upperQuartile).toBeGreaterThan(flopsPerSecond);
    }
  });

  test('leave out rounds that waited for a processor, as long as enough others remain', () => {
    // Every other round takes three times as long, of which the process computes a third.
    const { layer, clock } = fakeLayer({ slowdown: (pass) => (Math.floor(pass / 3) % 2 === 1 ? 3 : 1) });
    let [cpu, last, round] = [0, 0, 0];
    const cpuSeconds = () => {
      const now = clock();
      const isSlow = Math.floor(round++ / 2) % 2 === 1;
      cpu += (now - last) / (isSlow ? 3 : 1);
      last = now;
      return cpu;
    };
    const options = { clock, budgetSeconds: 50, tolerance: 0.05, tokens: 64 };
    const { forward, settled, disturbedShare } = measureRates(layer, { ...options, cpuSeconds });
    expect(forward.flopsPerSecond / 1e9).toBeCloseTo(1, 6);
    expect([settled, forward.repetitions]).toEqual([true, 5]);
    expect(disturbedShare).toBeCloseTo(4 / 9, 9);
    // If all waited, all count.
    expect(undisturbed([{ seconds: 2, cpuSeconds: 1 }], 1)).toHaveLength(1);
    expect(undisturbed([{ seconds: 1 }, { seconds: 1, cpuSeconds: 1 }], 1)).toEqual([
      { seconds: 1, cpuSeconds: 1 },
    ]);
  });

  test('assume the input rate for weight gradients that take too little time to measure', () => {
    const { layer, clock } = fakeLayer({ rates: { forward: 1e9, input: 2e9, weight: Infinity } });
    const { input, weight, settled } = measureRates(layer, { clock, budgetSeconds: 5, tolerance: 0.05 });
    expect(weight).toEqual({ ...input, assumed: true });
    expect(settled).toBe(false);
  });

  test('of any layer are what they are', () => {
    const rate = fc.double({ min: 1e6, max: 1e15, noNaN: true });
    fc.assert(
      fc.property(rate, rate, fc.integer({ min: 1, max: 4096 }), (forward, backward, tokens) => {
        const { layer, clock } = fakeLayer({ rates: { forward, input: backward, weight: backward } });
        const measured = measureRates(layer, { clock, budgetSeconds: 1, tolerance: 0.1, tokens });
        expect(measured.forward.flopsPerSecond / forward).toBeCloseTo(1, 3);
        expect(measured.weight.flopsPerSecond / backward).toBeCloseTo(1, 3);
      }),
      { seed: 11, numRuns: 100 },
    );
  });

  test('need a clock that runs', () => {
    const { layer } = fakeLayer();
    expect(() => measureRates(layer, { clock: () => 5, budgetSeconds: 1, tolerance: 0.1 })).toThrow(
      expect.objectContaining({
        code: 'JETSON_MEASUREMENT_TOO_SHORT',
        message:
          'jetson/measureRates: forward took 0 s for 256 tokens; measure longer (the machine may be busy), more tokens at a time, or with a finer clock',
      }),
    );
  });

  test('need valid options, whose problems are all reported at once', () => {
    const { layer } = fakeLayer();
    const problems = [
      'tokens must be a number above 0, got 0',
      'budgetSeconds must be a number above 0, got -1',
      'tolerance must be a number above 0, got NaN',
      'flops of forward must be a number above 0, got 0',
      'flops of input must be a number above 0, got 0',
      'flops of weight must be a number above 0, got 0',
    ];
    expect(() =>
      measureRates(layer, { clock: () => 0, budgetSeconds: -1, tolerance: Number.NaN, tokens: 0 }),
    ).toThrow(
      expect.objectContaining({
        code: 'JETSON_ARGUMENT_INVALID',
        message: `jetson/measureRates: ${problems.join('; ')}`,
        problems,
      }),
    );
  });
});
