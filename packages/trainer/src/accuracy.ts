/** How often a label task is right, and what guessing would give. */

/** Share of positions where both agree; `predicted` and `gold` have equal length > 0. */
export function accuracy(predicted: readonly string[], gold: readonly string[]): number {
  if (predicted.length !== gold.length || gold.length === 0)
    throw new Error(
      `trainer/accuracy: needs equally many answers and labels, got ${predicted.length} and ${gold.length}`,
    );
  return predicted.filter((answer, i) => answer === gold[i]).length / gold.length;
}

/** The accuracy of guessing among equally likely labels. */
export const chanceOf = (labels: readonly string[]): number => 1 / labels.length;

/** The unweighted mean over tasks. */
export function macroAverage(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
