/**
 * Task-parallel list scheduling (HEFT): every task on one device, started when its own parents have ended and the device is free. What it
 * fetches, answers and hands over is played as for a plan.
 */
import { assignmentOf } from '../planner/candidate-jobs.js';
import { jobOf } from '../planner/jobs.js';
import { listSeconds } from '../planner/list-jobs.js';
import { taskLists } from '../planner/list-tasks.js';
import { modesOf } from '../planner/modes.js';
import { openRun } from '../planner/open-run.js';
import { type PlayedRun, playRun } from '../planner/play-run.js';
import type { CandidateJob } from '../planner/run.js';
import { checkInput } from '../problem/check-input.js';
import { requireOptions } from '../problem/check-options.js';
import { type Check, flag } from '../problem/check-values.js';
import type { Cluster } from '../problem/cluster.js';
import type { Workload } from '../problem/workload.js';

export interface ListScheduleOptions {
  /** Whether frozen prefixes may be cached after the first epoch, where that is faster. */
  readonly cache?: boolean;
}

export interface TaskAssignment {
  readonly task: string;
  readonly device: string;
  readonly startSeconds: number;
  readonly endSeconds: number;
}

export interface TaskSchedule {
  /** Until the last task and the last transfer have ended. */
  readonly totalSeconds: number;
  /** Fetched and collected. */
  readonly totalBytes: number;
  /** By start. */
  readonly assignments: readonly TaskAssignment[];
}

/**
 * The best schedule found; undefined where some task fits on no device, or no link leads to what must be fetched.
 *
 * @throws SchedulerError listing everything that is wrong with the workloads, the cluster and the options.
 */
export function listScheduleTasks(
  workloads: readonly Workload[],
  cluster: Cluster,
  options: ListScheduleOptions = {},
): TaskSchedule | undefined {
  checkInput(workloads, cluster, 'listScheduleTasks');
  requireOptions(options, 'listScheduleTasks', { cache: flag } satisfies Record<
    keyof ListScheduleOptions,
    Check
  >);
  const { cache = true } = options;
  const { run, lanes } = openRun(workloads, cluster, { cache, peers: [] });
  const { devices } = lanes.opened;
  const single = run.graph.workloads.map((workload, task): CandidateJob => {
    const job = jobOf(run.graph, [task]);
    const modes = modesOf(
      lanes,
      [[workload]],
      devices.map((_, device) => [device]),
    );
    return { job, choices: modes.map((mode) => assignmentOf(run, job, mode)) };
  });
  let best: PlayedRun | undefined;
  for (const order of taskLists(run, single)) {
    const mark = best?.totalSeconds ?? Infinity;
    if (listSeconds(run, order) < mark) best = playRun(run, order, 'time', true, mark) ?? best;
  }
  if (!best) return undefined;
  const assignments = best.jobs.map(({ assignment: { job, mode }, startSeconds, endSeconds }) => ({
    task: run.costs.tasks[job.tasks[0]!]!.name,
    device: devices[mode.devices[0]!]!.id,
    startSeconds,
    endSeconds,
  }));
  return {
    totalSeconds: best.totalSeconds,
    totalBytes: movedBytes(best),
    assignments: assignments.sort((a, b) => a.startSeconds - b.startSeconds),
  };
}

/** Bytes of all transfers between, before and after intervals. */
export const movedBytes = ({ jobs }: PlayedRun): number =>
  jobs.reduce(
    (sum, { transfers, collects }) =>
      [...transfers, ...collects].reduce((all, { what }) => all + what.bytes, sum),
    0,
  );
