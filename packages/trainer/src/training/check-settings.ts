/** Whether the settings of a run make sense, before anything is trained or written. */
import { nearestSpelling } from '@contextlora/task-graph';

import { TrainerError } from '../trainer-error.js';
import type { KeepBest } from './best-state.js';
import type { LearningRate } from './learning-rate.js';

/** The settings of a run that are numbers or make numbers. */
export interface RunSettings {
  /** Optimizer steps per task: one number for all, or task → number. */
  readonly steps: number | Readonly<Record<string, number>>;
  readonly seed: number;
  readonly batchSize?: number;
  readonly microBatches?: number;
  readonly checkpointEverySteps?: number;
  readonly learningRate?: LearningRate;
  readonly keepBest?: Pick<KeepBest, 'everySteps' | 'patience'>;
  /** Whether several tasks share a phase. @default false */
  readonly together?: boolean;
}

const maximumSteps = 1_000_000;
const maximumBatchSize = 65_536;
/** AdamW moves every number by about the learning rate per step, and the numbers of a segment are well below 1. */
const maximumLearningRate = 1;

/**
 * Checks settings against the tasks that a run trains; `known` are all its tasks, which `steps` may name too.
 *
 * Steps are whole numbers from 1 to a million, batch sizes from 1 to 65,536, learning rates above 0 and at most 1 (a schedule may touch 0).
 *
 * @throws TrainerError (`TRAINER_INPUT_INVALID`) with every setting that makes no sense.
 */
export function checkSettings(
  {
    steps,
    seed,
    batchSize,
    microBatches,
    checkpointEverySteps,
    learningRate,
    keepBest,
    together = false,
  }: RunSettings,
  { trained, known = trained }: { trained: readonly string[]; known?: readonly string[] },
): void {
  const problems = [
    ...stepProblems(steps, trained, known),
    ...(Number.isSafeInteger(seed) ? [] : [`seed must be a whole number, got ${seed}`]),
    ...wholeProblems('batchSize', batchSize, maximumBatchSize),
    ...wholeProblems('microBatches', microBatches, maximumBatchSize),
    ...wholeProblems('checkpointEverySteps', checkpointEverySteps),
    ...wholeProblems('everySteps of keepBest', keepBest?.everySteps),
    ...wholeProblems('patience of keepBest', keepBest?.patience),
    ...(keepBest && together
      ? [
          'keepBest needs a phase for each task, because the best state of one is not that of its siblings; plan the phases without concurrent',
        ]
      : []),
  ];
  if (learningRate && problems.length === 0)
    problems.push(
      ...new Set(trained.flatMap((task) => rateProblems(learningRate, stepsOfTask(steps, task), task))),
    );
  if (problems.length > 0)
    throw new TrainerError('TRAINER_INPUT_INVALID', 'train', 'these settings make no sense:', { problems });
}

/** Optimizer steps of one task; 0 if `steps` does not name it. */
export function stepsOfTask(steps: RunSettings['steps'], task: string): number {
  if (typeof steps === 'number') return steps;
  return Object.hasOwn(steps, task) ? (steps[task] ?? 0) : 0;
}

function stepProblems(
  steps: RunSettings['steps'],
  trained: readonly string[],
  known: readonly string[],
): string[] {
  if (typeof steps === 'number') return wholeProblems('steps', steps, maximumSteps);
  const names = Object.keys(steps);
  return [
    ...names
      .filter((task) => !known.includes(task))
      .map((task) => {
        const nearest = nearestSpelling(task, known);
        const question = nearest === undefined ? '' : `; did you mean "${nearest}"?`;
        return `steps names "${task}", which is not a task of the run${question}`;
      }),
    ...trained.flatMap((task) =>
      names.includes(task)
        ? wholeProblems(`steps of "${task}"`, steps[task], maximumSteps)
        : [`steps has no number for task "${task}"`],
    ),
  ];
}

function wholeProblems(name: string, value: number | undefined, maximum = Number.MAX_SAFE_INTEGER): string[] {
  if (value === undefined || (Number.isSafeInteger(value) && value >= 1 && value <= maximum)) return [];
  const upTo = maximum === Number.MAX_SAFE_INTEGER ? ', 1 or more' : ` from 1 to ${maximum}`;
  return [`${name} must be a whole number${upTo}, got ${value}`];
}

/** A schedule is asked for all its steps at once: a mistake at its end is not found after hours. */
function rateProblems(learningRate: LearningRate, steps: number, task: string): string[] {
  let highest = 0;
  for (let step = 0; step < steps; step++) {
    const rate = learningRate(step, steps, task);
    if (!(rate >= 0 && rate <= maximumLearningRate))
      return [
        `the learning rate is ${Number(rate.toPrecision(4))} at step ${step + 1} of ${steps}; it must be above 0 and at most ${maximumLearningRate}, usually 1e-5 to 1e-2`,
      ];
    highest = Math.max(highest, rate);
  }
  return highest > 0
    ? []
    : [`the learning rate is 0 at all ${steps} steps, so that nothing would be trained`];
}
