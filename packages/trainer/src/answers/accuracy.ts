/** How often the answers to a label task are right, and how often guessing would be. */
import { TrainerError } from '../trainer-error.js';

/**
 * The share of positions where both agree.
 *
 * @throws TrainerError (`TRAINER_INPUT_INVALID`) when the lists are empty or of unequal length.
 */
export function accuracy(predicted: readonly string[], gold: readonly string[]): number {
  if (predicted.length !== gold.length || gold.length === 0)
    throw new TrainerError(
      'TRAINER_INPUT_INVALID',
      'accuracy',
      `needs as many answers as labels, and at least one, got ${predicted.length} and ${gold.length}`,
    );
  return predicted.filter((answer, i) => answer === gold[i]).length / gold.length;
}

/** The accuracy of guessing among equally likely labels. */
export const chanceOf = (labels: readonly string[]): number => 1 / labels.length;

/** The unweighted mean over tasks. */
export function macroAverage(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
