/** How good the answers to a label task are, beyond their accuracy. */
import { TrainerError } from '../trainer-error.js';
import type { Prediction } from '../training/trainable-model.js';

export interface LabelMeasures {
  /** Row: the right label; column: the label given; both in the order of the task's labels. */
  readonly confusion: readonly (readonly number[])[];
  /** The mean F1 over the labels that occur, as right answers or as given ones. */
  readonly macroF1: number;
  /** Absent where a prediction has no probabilities. */
  readonly calibration?: Calibration;
}

/** How far the probability of the likeliest label is from the share of right answers (Guo et al. 2017). */
export interface Calibration {
  /** The mean over all answers of |accuracy − mean probability| in their bin. */
  readonly expectedCalibrationError: number;
  /** The mean of −ln p(right label), in nats. */
  readonly negativeLogLikelihood: number;
  /** Of equal width from 0 to 1; those that hold no answer are left out. */
  readonly bins: readonly CalibrationBin[];
}

export interface CalibrationBin {
  /** Probabilities above `from`, up to and with `to`. */
  readonly from: number;
  readonly to: number;
  readonly count: number;
  readonly accuracy: number;
  readonly meanProbability: number;
}

/**
 * Measures predictions against the right labels.
 *
 * @throws TrainerError (`TRAINER_INPUT_INVALID`) when the lists are empty or of unequal length, or an answer is none of the labels.
 */
export function measureLabels(
  labels: readonly string[],
  predictions: readonly Prediction[],
  gold: readonly string[],
  { binCount = 15 }: { readonly binCount?: number } = {},
): LabelMeasures {
  const fail = (what: string) => new TrainerError('TRAINER_INPUT_INVALID', 'measureLabels', what);
  if (predictions.length !== gold.length || gold.length === 0)
    throw fail(
      `needs as many predictions as labels, and at least one, got ${predictions.length} and ${gold.length}`,
    );
  const indexOf = (label: string) => {
    const index = labels.indexOf(label);
    if (index < 0) throw fail(`"${label}" is none of the labels ${labels.join(', ')}`);
    return index;
  };
  const given = predictions.map(({ answer }) => indexOf(answer));
  const right = gold.map(indexOf);
  const confusion = labels.map(() => labels.map(() => 0));
  for (const [i, row] of right.entries()) confusion[row]![given[i]!]! += 1;
  const scores = predictions.flatMap(({ labelLogProbabilities }) =>
    labelLogProbabilities ? [labelLogProbabilities] : [],
  );
  return {
    confusion,
    macroF1: macroF1(confusion),
    ...(scores.length === predictions.length
      ? { calibration: calibrationOf(scores, { given, right, binCount }) }
      : {}),
  };
}

function macroF1(confusion: readonly (readonly number[])[]): number {
  const scores = confusion.flatMap((row, label) => {
    const [gold, given] = [sum(row), sum(confusion.map((one) => one[label] ?? 0))];
    return gold + given === 0 ? [] : [(2 * (row[label] ?? 0)) / (gold + given)];
  });
  return sum(scores) / scores.length;
}

function calibrationOf(
  scores: readonly (readonly number[])[],
  { given, right, binCount }: { given: readonly number[]; right: readonly number[]; binCount: number },
): Calibration {
  const answers = scores.map((row, i) => ({
    probability: Math.exp(row[given[i]!] ?? -Infinity),
    isRight: given[i] === right[i],
  }));
  const bins = Array.from({ length: binCount }, (_, bin): CalibrationBin | undefined => {
    const own = answers.filter(({ probability }) => binOf(probability, binCount) === bin);
    if (own.length === 0) return undefined;
    return {
      from: bin / binCount,
      to: (bin + 1) / binCount,
      count: own.length,
      accuracy: own.filter(({ isRight }) => isRight).length / own.length,
      meanProbability: sum(own.map(({ probability }) => probability)) / own.length,
    };
  }).filter((bin) => bin !== undefined);
  return {
    expectedCalibrationError: sum(
      bins.map(
        ({ count, accuracy, meanProbability }) =>
          (count / scores.length) * Math.abs(accuracy - meanProbability),
      ),
    ),
    negativeLogLikelihood: sum(scores.map((row, i) => -(row[right[i]!] ?? -Infinity))) / scores.length,
    bins,
  };
}

const binOf = (probability: number, binCount: number) =>
  Math.min(binCount - 1, Math.max(0, Math.ceil(probability * binCount) - 1));

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

/** The 95 % confidence interval of a share (Wilson 1927), such as an accuracy on `count` rows. */
export function shareInterval(share: number, count: number): { readonly from: number; readonly to: number } {
  const z = 1.959964;
  const centre = share + (z * z) / (2 * count);
  const width = z * Math.sqrt((share * (1 - share)) / count + (z * z) / (4 * count * count));
  const scale = 1 + (z * z) / count;
  return { from: Math.max(0, (centre - width) / scale), to: Math.min(1, (centre + width) / scale) };
}
