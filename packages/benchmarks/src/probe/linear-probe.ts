/**
 * A control: how accurate is a linear classifier, without any model?
 *
 * Softmax regression on standardised features with momentum and weight decay. A task that it solves on raw pixels needs no
 * vision-language model.
 */
import { keyedRandom } from '@contextlora/lora';

export interface ProbeSet {
  /** One row of equal length per example. */
  readonly features: readonly Float32Array[];
  /** Class of each example, from 0. */
  readonly classes: readonly number[];
}

export interface LinearProbeOptions {
  readonly classCount: number;
  readonly seed: number;
  readonly epochs?: number;
  readonly learningRate?: number;
  readonly weightDecay?: number;
}

/** Fits on `train`, returns the accuracy on each of `tests`. */
export function linearProbe(
  train: ProbeSet,
  tests: readonly ProbeSet[],
  { classCount, seed, epochs = 20, learningRate = 0.01, weightDecay = 0.01 }: LinearProbeOptions,
): number[] {
  const size = train.features[0]?.length ?? 0;
  const scaling = standardiser(train.features, size);
  const rows = train.features.map(scaling);
  // [classCount, size + 1]; the last column is the bias.
  const width = size + 1;
  const weights = new Float32Array(classCount * width);
  const velocity = new Float32Array(weights.length);
  const gradient = new Float32Array(weights.length);
  const batchSize = 32;
  const identity = rows.map((_, index) => index);

  for (let epoch = 0; epoch < epochs; epoch++) {
    const order = keyedRandom(seed, 'linear-probe', epoch).shuffle(identity);
    const rate = (learningRate / Math.sqrt(size)) * (1 - epoch / epochs);
    for (let start = 0; start < order.length; start += batchSize) {
      const batch = order.slice(start, start + batchSize);
      gradient.fill(0);
      for (const index of batch) {
        const row = rows[index] ?? new Float32Array(size);
        const probabilities = softmax(scoresOf(row, weights, classCount));
        for (let c = 0; c < classCount; c++) {
          const error = (probabilities[c] ?? 0) - (train.classes[index] === c ? 1 : 0);
          const offset = c * width;
          for (let i = 0; i < size; i++) gradient[offset + i]! += error * row[i]!;
          gradient[offset + size]! += error;
        }
      }
      for (let i = 0; i < weights.length; i++) {
        velocity[i] = 0.9 * velocity[i]! + gradient[i]! / batch.length + weightDecay * weights[i]!;
        weights[i]! -= rate * velocity[i]!;
      }
    }
  }
  return tests.map(({ features, classes }) => {
    const right = features.filter(
      (row, i) => argmax(scoresOf(scaling(row), weights, classCount)) === classes[i],
    );
    return right.length / features.length;
  });
}

/** (x − mean) / (deviation + 1e-3), with mean and deviation of the training rows. */
function standardiser(rows: readonly Float32Array[], size: number): (row: Float32Array) => Float32Array {
  const mean = new Float64Array(size);
  const square = new Float64Array(size);
  for (const row of rows)
    for (let i = 0; i < size; i++) {
      mean[i]! += row[i]! / rows.length;
      square[i]! += row[i]! ** 2 / rows.length;
    }
  const inverse = mean.map((m, i) => 1 / (Math.sqrt(Math.max(0, square[i]! - m ** 2)) + 1e-3));
  return (row) => row.map((value, i) => (value - mean[i]!) * inverse[i]!);
}

function scoresOf(row: Float32Array, weights: Float32Array, classCount: number): Float64Array {
  const width = row.length + 1;
  const scores = new Float64Array(classCount);
  for (let c = 0; c < classCount; c++) {
    let sum = weights[c * width + row.length]!;
    for (let i = 0; i < row.length; i++) sum += weights[c * width + i]! * row[i]!;
    scores[c] = sum;
  }
  return scores;
}

function softmax(scores: Float64Array): Float64Array {
  const highest = Math.max(...scores);
  const exponentials = scores.map((score) => Math.exp(score - highest));
  const total = exponentials.reduce((sum, value) => sum + value, 0);
  return exponentials.map((value) => value / total);
}

const argmax = (scores: Float64Array) => scores.indexOf(Math.max(...scores));
