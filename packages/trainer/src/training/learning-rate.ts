/** The learning rate as a function of the step. */

/** Step (from 0) and number of steps → learning rate. */
export type LearningRate = (step: number, steps: number) => number;

/**
 * Half a cosine from `peak` down to `floor · peak` (Loshchilov & Hutter 2017, SGDR eq. 5), with the first `warmupSteps` scaled up
 * linearly from 1 / warmupSteps.
 */
export function warmupCosine(
  peak: number,
  { warmupSteps = 20, floor = 0 }: { warmupSteps?: number; floor?: number } = {},
): LearningRate {
  return (step, steps) => {
    const warm = Math.min(1, (step + 1) / warmupSteps);
    const cosine = 0.5 * (1 + Math.cos((Math.PI * step) / Math.max(1, steps)));
    return peak * warm * (floor + (1 - floor) * cosine);
  };
}

/** The same rate at every step. */
export const constantRate =
  (rate: number): LearningRate =>
  () =>
    rate;
