/** Where the layers of a run's tasks go: a plan for the devices that are there. */
import type { PlacedPipeline } from '@contextlora/runtime';
import {
  type Cluster,
  plan,
  type PlannedInterval,
  type PlannedJob,
  policyNamed,
  type Workload,
} from '@contextlora/scheduler';

import { WorkloadsError } from '../workloads-error.js';

export interface PlaceLanesOptions {
  /** Of all tasks of the run. */
  readonly workloads: readonly Workload[];
  readonly cluster: Cluster;
  /** Micro-batches of a step. */
  readonly microbatches: number;
  /** Devices of one stage at most; more than one divide a step's samples, which changes the last bits of a result. @default 1 */
  readonly groupLimit?: number;
}

/**
 * Plans the tasks of a phase on some of the cluster's devices: siblings share a pipeline, or have devices of their own, as the plan says.
 *
 * @throws SchedulerError when the model does not fit on them.
 */
export function placeLanes(
  devices: readonly string[],
  tasks: readonly string[],
  { workloads, cluster, microbatches, groupLimit = 1 }: PlaceLanesOptions,
): PlacedPipeline[] {
  const left: Cluster = {
    devices: cluster.devices.filter(({ id }) => devices.includes(id)),
    links: cluster.links.filter(({ from, to }) =>
      [from, to].every((id) => id === '*' || devices.includes(id)),
    ),
  };
  // The ancestors are trained already, and frozen layers' outputs are cached where they are used.
  const active = tasks.map((task): Workload => {
    const workload = workloads.find(({ name }) => name === task);
    if (!workload)
      throw new WorkloadsError(
        'WORKLOADS_TASK_UNKNOWN',
        'placeLanes',
        `there is no workload of task "${task}"`,
      );
    return { ...workload, dependsOn: [], epochs: 1, promptSamples: 0, validationSamples: 0 };
  });
  const { jobs } = plan(active, left, { microbatches: [microbatches], groupLimit, cache: false, peers: [] });
  const firstOf = (lane: readonly PlannedJob[]) =>
    Math.min(...lane.flatMap((job) => job.tasks.map((task) => tasks.indexOf(task))));
  const lanes = lanesOf(jobs).sort((a, b) => firstOf(a) - firstOf(b));
  return lanes.map((lane) => {
    const { placement, policy: name } = mainInterval(lane);
    const policy = policyNamed(name);
    if (!policy) throw new Error(`internal: the plan follows no known policy`);
    const own = tasks.filter((task) => lane.some((job) => job.tasks.includes(task)));
    return {
      workloads: active.filter((workload) => own.includes(workload.name)),
      cluster: left,
      placement: { ...placement, tasks: own },
      policy,
    };
  });
}

/** Jobs that share a device are one lane, in which their tasks step in turn. */
function lanesOf(jobs: readonly PlannedJob[]): PlannedJob[][] {
  let lanes: PlannedJob[][] = [];
  for (const job of jobs) {
    const shares = (lane: readonly PlannedJob[]) =>
      lane.some(({ devices }) => devices.some((device) => job.devices.includes(device)));
    lanes = [...lanes.filter((lane) => !shares(lane)), [...lanes.filter(shares).flat(), job]];
  }
  return lanes;
}

/** The interval with the most tasks and, of several, the longest. */
function mainInterval(lane: readonly PlannedJob[]): PlannedInterval {
  const [main] = lane
    .flatMap(({ intervals }) => intervals)
    .sort((a, b) => b.tasks.length - a.tasks.length || b.totalSeconds - a.totalSeconds);
  if (!main) throw new Error('internal: a job of the plan has no interval');
  return main;
}
