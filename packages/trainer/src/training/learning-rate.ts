/** The learning rate as a function of the step. */
import { TrainerError } from '../trainer-error.js';

/** Step (from 0) and number of steps → learning rate. */
export type LearningRate = (step: number, steps: number) => number;

/**
 * Half a cosine from `peak` down to `floor · peak` (Loshchilov & Hutter 2017, SGDR eq. 5), with the first `warmupSteps` scaled up
 * linearly from 1 / warmupSteps. By default 20 steps are scaled up, and a shorter run does not reach the peak.
 *
 * @throws TrainerError (`TRAINER_INPUT_INVALID`) when the peak is not above 0, the floor not in [0, 1], the number of steps not whole, or,
 * from the schedule, when a warm-up that was asked for is longer than the run.
 */
export function warmupCosine(
  peak: number,
  { warmupSteps, floor = 0 }: { warmupSteps?: number; floor?: number } = {},
): LearningRate {
  if (!(peak > 0 && Number.isFinite(peak))) throw invalid(`the peak must be a number above 0, got ${peak}`);
  if (!(floor >= 0 && floor <= 1)) throw invalid(`the floor must be from 0 to 1, got ${floor}`);
  if (warmupSteps !== undefined && !(Number.isSafeInteger(warmupSteps) && warmupSteps >= 0))
    throw invalid(`warmupSteps must be a whole number, 0 or more, got ${warmupSteps}`);
  return (step, steps) => {
    if (warmupSteps !== undefined && warmupSteps > steps)
      throw invalid(`the warm-up of ${warmupSteps} steps is longer than the ${steps} steps of a task`);
    const warm = Math.min(1, (step + 1) / (warmupSteps ?? defaultWarmupSteps));
    const cosine = 0.5 * (1 + Math.cos((Math.PI * step) / Math.max(1, steps)));
    return peak * warm * (floor + (1 - floor) * cosine);
  };
}

const defaultWarmupSteps = 20;

/** The same rate at every step. */
export const constantRate =
  (rate: number): LearningRate =>
  () =>
    rate;

const invalid = (what: string) => new TrainerError('TRAINER_INPUT_INVALID', 'warmupCosine', what);
