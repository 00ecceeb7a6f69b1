/** Telling a user's mistake from a defect of this program. */
import { BenchmarksError } from '@contextlora/benchmarks';
import { FinetuneError } from '@contextlora/finetune';
import { LoraError } from '@contextlora/lora';
import { ModelError } from '@contextlora/model';
import { SchedulerError } from '@contextlora/scheduler';
import { TaskGraphError } from '@contextlora/task-graph';
import { TrainerError } from '@contextlora/trainer';
import { WorkloadsError } from '@contextlora/workloads';

import { CliError } from './cli-error.js';

/** One class per package: what they report is for the user, and anything else is a defect and keeps its stack trace. */
const classes = [
  BenchmarksError,
  CliError,
  FinetuneError,
  LoraError,
  ModelError,
  SchedulerError,
  TaskGraphError,
  TrainerError,
  WorkloadsError,
] as const;

export function isUserError(error: unknown): error is Error {
  return (
    classes.some((one) => error instanceof one) ||
    // Packages that have no class yet.
    (error instanceof Error && /^(kernels|model|jetson)\/\w+: /.test(error.message))
  );
}
