/** Where the layers of a run's tasks go: a plan for the devices that are there. */
import type { PlacedPipeline } from '@contextlora/runtime';
import { type Cluster, plan, policyNamed, type Workload } from '@contextlora/scheduler';

import { WorkloadsError } from '../workloads-error.js';

export interface PlaceStagesOptions {
  /** Of all tasks of the run. */
  readonly workloads: readonly Workload[];
  readonly cluster: Cluster;
  /** Micro-batches of a step. */
  readonly microbatches: number;
  /** Devices of one stage at most; more than one divide a step's samples, which changes the last bits of a result. @default 1 */
  readonly groupLimit?: number;
}

/**
 * Plans the tasks of a phase on some of the cluster's devices.
 *
 * @throws SchedulerError when the model does not fit on them.
 */
export function placeStages(
  devices: readonly string[],
  tasks: readonly string[],
  { workloads, cluster, microbatches, groupLimit = 1 }: PlaceStagesOptions,
): PlacedPipeline {
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
        'placeStages',
        `there is no workload of task "${task}"`,
      );
    return { ...workload, dependsOn: [], epochs: 1, promptSamples: 0, validationSamples: 0 };
  });
  const { jobs } = plan(active, left, { microbatches: [microbatches], groupLimit, cache: false, peers: [] });
  const [interval] = jobs
    .flatMap(({ intervals }) => intervals)
    .sort((a, b) => b.tasks.length - a.tasks.length || b.totalSeconds - a.totalSeconds);
  const policy = interval && policyNamed(interval.policy);
  if (!policy) throw new Error(`internal: the plan follows no known policy`);
  return { workloads: active, cluster: left, placement: { ...interval.placement, tasks }, policy };
}
