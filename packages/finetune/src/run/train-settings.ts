/** The numbers that a training run is set by. */
import { stepsOfTask } from '@contextlora/trainer';

import type { ChildDataSettings } from '../data/child-data.js';

export interface TrainSettings extends ChildDataSettings {
  readonly seed: number;
  /** Ranks per linear layer, divided among all tasks. */
  readonly rank: number;
  /** The ranks of each task, where they are not shared out: those of a changed run. Their sum is `rank`. */
  readonly ranks?: Readonly<Record<string, number>>;
  /** Optimizer steps per task: one number for all, or a number for each. */
  readonly steps: number | Readonly<Record<string, number>>;
  /** Examples per optimizer step. */
  readonly batchSize: number;
  /** Peak of the schedule. */
  readonly learningRate: number;
}

/** Optimizer steps of several tasks together. */
export const totalSteps = (settings: TrainSettings, tasks: readonly string[]): number =>
  tasks.reduce((sum, task) => sum + stepsOfTask(settings.steps, task), 0);
