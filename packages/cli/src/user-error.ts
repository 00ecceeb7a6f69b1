/** Telling a user's mistake from a defect of this program. */
import { BenchmarksError } from '@contextlora/benchmarks';
import { FinetuneError } from '@contextlora/finetune';
import { ModelError } from '@contextlora/model';
import { SchedulerError } from '@contextlora/scheduler';
import { TaskFileError } from '@contextlora/task-graph';
import { FreezeViolation, TaskDataError } from '@contextlora/trainer';
import { WorkloadsError } from '@contextlora/workloads';

import { CliError } from './cli-error.js';

/** One class per package: what they report is for the user, and anything else is a defect and keeps its stack trace. */
const classes = [
  BenchmarksError,
  CliError,
  FinetuneError,
  FreezeViolation,
  ModelError,
  SchedulerError,
  TaskDataError,
  TaskFileError,
  WorkloadsError,
] as const;

export function isUserError(error: unknown): error is Error {
  return (
    classes.some((one) => error instanceof one) ||
    // Packages that have no class yet.
    (error instanceof Error &&
      /^(task-graph|lora|kernels|model|trainer|scheduler|jetson)\/\w+: /.test(error.message))
  );
}
