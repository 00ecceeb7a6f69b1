/** The learning rate as a function of the step. */
import { TrainerError } from '../trainer-error.js';

/** Step (from 0), number of steps and task → learning rate. */
export type LearningRate = (step: number, steps: number, task: string) => number;

/** A schedule that is the same for every task. */
type Schedule = (step: number, steps: number) => number;

/** How a rate falls from its peak: half a cosine, a straight line, or not at all. */
export type RateShape = 'cosine' | 'linear' | 'constant';

export interface RateOptions {
  /** @default 'cosine' */
  readonly shape?: RateShape;
  /** The first steps, scaled up linearly from 1 / warmupSteps. @default 20 */
  readonly warmupSteps?: number;
  /** The same as a share of a task's steps, rounded up; not together with `warmupSteps`. */
  readonly warmupShare?: number;
  /** Where the fall ends, as a share of the peak. @default 0 */
  readonly floor?: number;
}

/**
 * The rate at step s of n: peak · min(1, (s + 1) / warm-up) · (floor + (1 − floor) · d(s / n)), where d(x) is (1 + cos πx) / 2
 * (Loshchilov & Hutter 2017, SGDR eq. 5), 1 − x, or 1. Without a warm-up that was asked for, a run shorter than 20 steps does not reach the peak.
 *
 * @throws TrainerError (`TRAINER_INPUT_INVALID`) when the peak is not above 0, a share not in [0, 1], the number of steps not whole, two
 * warm-ups are given, or, from the schedule, when a warm-up that was asked for is longer than the run.
 */
export function scheduleRate(
  peak: number,
  { shape = 'cosine', warmupSteps, warmupShare, floor = 0 }: RateOptions = {},
): Schedule {
  if (!(peak > 0 && Number.isFinite(peak))) throw invalid(`the peak must be a number above 0, got ${peak}`);
  if (!(floor >= 0 && floor <= 1)) throw invalid(`the floor must be from 0 to 1, got ${floor}`);
  if (warmupSteps !== undefined && !(Number.isSafeInteger(warmupSteps) && warmupSteps >= 0))
    throw invalid(`warmupSteps must be a whole number, 0 or more, got ${warmupSteps}`);
  if (warmupShare !== undefined && !(warmupShare >= 0 && warmupShare <= 1))
    throw invalid(`warmupShare must be from 0 to 1, got ${warmupShare}`);
  if (warmupSteps !== undefined && warmupShare !== undefined)
    throw invalid('warmupSteps and warmupShare are two ways to say one thing; give one of them');
  const fall = falls[shape];
  return (step, steps) => {
    if (warmupSteps !== undefined && warmupSteps > steps)
      throw invalid(`the warm-up of ${warmupSteps} steps is longer than the ${steps} steps of a task`);
    const asked = warmupShare === undefined ? warmupSteps : Math.ceil(warmupShare * steps);
    const warm = Math.min(1, (step + 1) / (asked ?? defaultWarmupSteps));
    return peak * warm * (floor + (1 - floor) * fall(step / Math.max(1, steps)));
  };
}

/** From 1 at x = 0. */
const falls: Readonly<Record<RateShape, (x: number) => number>> = {
  cosine: (x) => 0.5 * (1 + Math.cos(Math.PI * x)),
  linear: (x) => 1 - x,
  constant: () => 1,
};

const defaultWarmupSteps = 20;

/** {@link scheduleRate} with half a cosine. */
export const warmupCosine = (peak: number, options: Omit<RateOptions, 'shape'> = {}): Schedule =>
  scheduleRate(peak, options);

/** The same rate at every step. */
export const constantRate =
  (rate: number): Schedule =>
  () =>
    rate;

const invalid = (what: string) => new TrainerError('TRAINER_INPUT_INVALID', 'scheduleRate', what);
