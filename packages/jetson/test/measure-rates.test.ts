import { describe, expect, test } from '@jest/globals';
import { fitSustainedShare, type MeasurableLayer, measureRates, measureSustained } from '@contextlora/jetson';
import fc from 'fast-check';

/** A clock that a layer of known speed moves; `slowdown` may depend on the number of the pass. */
function fakeLayer({
  rates = { forward: 1e9, input: 2e9, weight: 4e9 },
  slowdown = () => 1,
}: {
  readonly rates?: { readonly forward: number; readonly input: number; readonly weight: number };
  readonly slowdown?: (pass: number) => number;
} = {}) {
  const work = { forward: 3e6, input: 5e6, weight: 7e6 };
  let now = 0;
  let passes = 0;
  const take = (tokens: number, ...kinds: (keyof typeof work)[]) => {
    for (const kind of kinds) now += ((work[kind] * tokens) / rates[kind]) * slowdown(passes);
    passes += 1;
  };
  const layer: MeasurableLayer = {
    forward: (tokens) => {
      take(tokens, 'forward');
    },
    backwardInput: (tokens) => {
      take(tokens, 'input');
    },
    backwardBoth: (tokens) => {
      take(tokens, 'input', 'weight');
    },
    flops: (kind, tokens) => work[kind] * tokens,
  };
  return { layer, clock: () => now, passes: () => passes };
}

describe('rates by kind of work', () => {
  test('are those of the layer, and a steady machine is measured five times', () => {
    const { layer, clock, passes } = fakeLayer();
    const measured = measureRates(layer, { clock, budgetSeconds: 1000, tolerance: 0.05, tokens: 64 });
    expect(measured.forward.flopsPerSecond).toBeCloseTo(1e9, -2);
    expect(measured.input.flopsPerSecond).toBeCloseTo(2e9, -2);
    expect(measured.weight.flopsPerSecond).toBeCloseTo(4e9, -2);
    expect(measured).toMatchObject({ tokens: 64, settled: true });
    expect(measured.weight.repetitions).toBe(5);
    expect(passes()).toBe(18);
  });

  test('do not heed a slow first round or single outliers', () => {
    const { layer, clock } = fakeLayer({ slowdown: (pass) => (pass < 3 || pass % 21 === 4 ? 50 : 1) });
    const measured = measureRates(layer, { clock, budgetSeconds: 1000, tolerance: 0.05 });
    expect(measured.forward.flopsPerSecond).toBeCloseTo(1e9, -2);
    expect(measured.settled).toBe(true);
  });

  test('are repeated until the budget is spent where they scatter, and quartiles enclose the median', () => {
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

  test('of any layer come out as they are', () => {
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

  test('cannot be told by a clock that stands still, and bad arguments are named all at once', () => {
    const { layer } = fakeLayer();
    expect(() => measureRates(layer, { clock: () => 5, budgetSeconds: 1, tolerance: 0.1 })).toThrow(
      'jetson/measureRates: forward took 0 s for 256 tokens; measure more tokens at a time, or with a finer clock',
    );
    expect(() => measureSustained(layer, { clock: () => 5, durationSeconds: 1 })).toThrow('took no time');
    expect(() =>
      measureRates(layer, { clock: () => 0, budgetSeconds: -1, tolerance: Number.NaN, tokens: 0 }),
    ).toThrow(
      'jetson/measureRates: tokens must be a number above 0, got 0; budgetSeconds must be a number above 0, got -1; tolerance must be a number above 0, got NaN; flops of forward must be a number above 0, got 0',
    );
  });
});

describe('what lasts', () => {
  test('a machine that throttles to 70 % keeps 0.7', () => {
    const { layer, clock } = fakeLayer({ slowdown: (pass) => (pass < 60 ? 1 : 1 / 0.7) });
    const { sustainedShare, series } = measureSustained(layer, { clock, durationSeconds: 200 });
    expect(sustainedShare).toBeCloseTo(0.7, 6);
    expect(series.length).toBeGreaterThan(60);
    expect(series.at(-1)!.atSeconds).toBeGreaterThanOrEqual(200);
    // 2 backward kinds and a forward of 256 tokens: 15e6 × 256 FLOPs in 256 × (3 + 2.5 + 1.75) ms.
    expect(series[0]!.flopsPerSecond).toBeCloseTo(15e6 / 7.25e-3, -3);
  });

  test('a machine that gets faster keeps 1', () => {
    const { layer, clock } = fakeLayer({ slowdown: (pass) => (pass < 20 ? 2 : 1) });
    expect(measureSustained(layer, { clock, durationSeconds: 100 }).sustainedShare).toBe(1);
  });

  test('too short a run says so', () => {
    const { layer, clock } = fakeLayer();
    expect(() => measureSustained(layer, { clock, durationSeconds: 5 })).toThrow(
      'jetson/fitSustainedShare: needs 9 rounds or more, got 3',
    );
    expect(fitSustainedShare([4, 4, 4, 3, 3, 3, 2, 2, 2])).toBe(0.5);
  });
});
