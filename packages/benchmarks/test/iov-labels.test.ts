import {
  decideStrategy,
  roadLabels,
  type Situation,
  speedLimits,
  strategyLabels,
  vehicleLabels,
  weatherLabels,
} from '@contextlora/benchmarks';
import { describe, expect, test } from '@jest/globals';

const allSituations: Situation[] = vehicleLabels.flatMap((vehicle) =>
  weatherLabels.flatMap((weather) =>
    roadLabels.flatMap((road) => speedLimits.map((limit) => ({ vehicle, weather, road, limit }))),
  ),
);

describe('the driving strategy', () => {
  test('is not decided by any single input', () => {
    for (const key of ['vehicle', 'weather', 'road', 'limit'] as const) {
      const values = new Set(allSituations.map((situation) => situation[key]));
      for (const value of values) {
        const decisions = new Set(allSituations.filter((s) => s[key] === value).map(decideStrategy));
        expect(decisions.size).toBeGreaterThan(1);
      }
    }
  });

  test('depends on every input, including the limit in the text', () => {
    for (const key of ['vehicle', 'weather', 'road', 'limit'] as const) {
      const changes = allSituations.some((first) =>
        allSituations.some(
          (second) =>
            decideStrategy(first) !== decideStrategy(second) &&
            (['vehicle', 'weather', 'road', 'limit'] as const).every(
              (k) => k === key || first[k] === second[k],
            ),
        ),
      );
      expect(changes).toBe(true);
    }
  });

  test('gives every answer, and at least two inputs are needed to be sure of each', () => {
    expect(new Set(allSituations.map(decideStrategy))).toEqual(new Set(strategyLabels));
    for (const label of strategyLabels)
      for (const key of ['vehicle', 'weather', 'road', 'limit'] as const) {
        const values = new Set(allSituations.filter((s) => decideStrategy(s) === label).map((s) => s[key]));
        for (const value of values)
          expect(
            allSituations.filter((s) => s[key] === value).every((s) => decideStrategy(s) === label),
          ).toBe(false);
      }
  });
});
