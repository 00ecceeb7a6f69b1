/** Whether an error is a user's mistake or a defect of this program. */
import { BenchmarksError } from '@contextlora/benchmarks';
import { DashboardError } from '@contextlora/dashboard';
import { FinetuneError } from '@contextlora/finetune';
import { JetsonError } from '@contextlora/jetson';
import { KernelsError } from '@contextlora/kernels';
import { LoraError } from '@contextlora/lora';
import { ModelError } from '@contextlora/model';
import { RuntimeError } from '@contextlora/runtime';
import { SchedulerError } from '@contextlora/scheduler';
import { ServeError } from '@contextlora/serve';
import { TaskGraphError } from '@contextlora/task-graph';
import { TrainerError } from '@contextlora/trainer';
import { WorkloadsError } from '@contextlora/workloads';

import { CliError } from './cli-error.js';

/** One class per package: their messages are for users. Any other error is a defect and keeps its stack trace. */
const classes = [
  BenchmarksError,
  CliError,
  DashboardError,
  FinetuneError,
  JetsonError,
  KernelsError,
  LoraError,
  ModelError,
  RuntimeError,
  SchedulerError,
  ServeError,
  TaskGraphError,
  TrainerError,
  WorkloadsError,
] as const;

export const isUserError = (error: unknown): error is Error =>
  classes.some((errorClass) => error instanceof errorClass);
