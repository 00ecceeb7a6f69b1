import { measureLabels, type Prediction, shareInterval } from '@contextlora/trainer';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

const labels = ['wet', 'dry', 'icy'];
/** A prediction that gives its answer a probability and shares the rest equally. */
const predicted = (answer: string, probability: number): Prediction => ({
  answer,
  labelLogProbabilities: labels.map((label) =>
    Math.log(label === answer ? probability : (1 - probability) / 2),
  ),
});

describe('the measures of a label task', () => {
  test('count each right label by each given one', () => {
    const { confusion } = measureLabels(
      labels,
      [predicted('wet', 0.9), predicted('dry', 0.9), predicted('dry', 0.9), predicted('dry', 0.9)],
      ['wet', 'wet', 'wet', 'dry'],
    );
    expect(confusion).toEqual([
      [1, 2, 0],
      [0, 1, 0],
      [0, 0, 0],
    ]);
  });

  test('average F1 over the labels that occur: wet 2·1/(3+1), dry 2·1/(1+3); icy occurs nowhere', () => {
    const answers = ['wet', 'dry', 'dry', 'dry'].map((answer) => predicted(answer, 0.9));
    expect(measureLabels(labels, answers, ['wet', 'wet', 'wet', 'dry']).macroF1).toBeCloseTo(0.5, 12);
    // A label that is only ever given counts too, with 0.
    const icy = ['icy', 'wet'].map((answer) => predicted(answer, 0.9));
    expect(measureLabels(labels, icy, ['wet', 'wet']).macroF1).toBeCloseTo((2 / 3 + 0) / 2, 12);
  });

  test('compare probabilities with shares of right answers, bin by bin', () => {
    const answers = [
      predicted('wet', 0.8),
      predicted('wet', 0.8),
      predicted('dry', 0.55),
      predicted('dry', 0.5),
    ];
    const gold = ['wet', 'dry', 'dry', 'wet'];
    const { calibration } = measureLabels(labels, answers, gold, { binCount: 10 });
    expect(calibration?.bins.map(({ from, to, count, accuracy }) => [from, to, count, accuracy])).toEqual([
      [0.4, 0.5, 1, 0],
      [0.5, 0.6, 1, 1],
      [0.7, 0.8, 2, 0.5],
    ]);
    expect(calibration?.expectedCalibrationError).toBeCloseTo((2 * 0.3 + 0.45 + 0.5) / 4, 10);
    expect(calibration?.negativeLogLikelihood).toBeCloseTo(
      -(Math.log(0.8) + Math.log(0.1) + Math.log(0.55) + Math.log(0.25)) / 4,
      10,
    );
  });

  test('have no calibration without probabilities, and refuse answers that are no label', () => {
    expect(measureLabels(labels, [{ answer: 'wet' }], ['wet'])).not.toHaveProperty('calibration');
    expect(() => measureLabels(labels, [{ answer: 'damp' }], ['wet'])).toThrow(
      /"damp" is none of the labels/,
    );
    expect(() => measureLabels(labels, [], [])).toThrow(/at least one/);
  });

  test('hold every answer once, and are perfect for perfect answers', () => {
    const label = fc.constantFrom(...labels);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(label, label, fc.double({ min: 0.34, max: 1, noNaN: true })), { minLength: 1 }),
        (rows) => {
          const gold = rows.map(([right]) => right);
          const { confusion, macroF1, calibration } = measureLabels(
            labels,
            rows.map(([, given, probability]) => predicted(given, probability)),
            gold,
          );
          expect(confusion.flat().reduce((a, b) => a + b)).toBe(rows.length);
          expect(calibration?.bins.reduce((total, { count }) => total + count, 0)).toBe(rows.length);
          expect(macroF1).toBeLessThanOrEqual(1);
          expect(
            measureLabels(
              labels,
              gold.map((one) => predicted(one, 1)),
              gold,
            ),
          ).toMatchObject({
            macroF1: 1,
            calibration: { expectedCalibrationError: 0, negativeLogLikelihood: 0 },
          });
        },
      ),
    );
  });

  test('give the Wilson interval of a share', () => {
    const { from, to } = shareInterval(0.8, 100);
    expect([from, to].map((value) => Number(value.toFixed(4)))).toEqual([0.7112, 0.8666]);
    expect(shareInterval(1, 10).to).toBeCloseTo(1, 12);
    expect(shareInterval(0, 10).from).toBe(0);
  });
});
