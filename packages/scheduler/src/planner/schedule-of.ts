/** The schedule of a planned segment, to simulate, draw or execute. */
import { buildSchedule, type Schedule } from '../build-schedule.js';
import { type Cluster, usableCluster } from '../cluster.js';
import { openCostModel } from '../cost-model.js';
import { ownValue } from '../own-value.js';
import { peers as allPeers } from '../peers/peers.js';
import type { Strategy } from '../peers/strategy.js';
import { contextGear, contextGearDeep } from '../policies/context-gear.js';
import { gpipe } from '../policies/gpipe.js';
import { lorapp } from '../policies/lorapp.js';
import { oneForwardOneBackward, oneForwardOneBackwardDeep } from '../policies/one-forward-one-backward.js';
import { withCachedPrefix, type Workload } from '../workload.js';
import type { Plan } from './plan.js';
import { clusterInModes } from './power-settings.js';

const policies = [
  contextGear,
  contextGearDeep,
  gpipe,
  lorapp,
  oneForwardOneBackward,
  oneForwardOneBackwardDeep,
];

export interface ScheduleOfOptions {
  /** Which of the plan's segments, counted over waves and lanes; the first when absent. */
  readonly segment?: number;
  /** Optimizer steps to lay out; at most the segment's. */
  readonly steps?: number;
  /** The strategies the plan was made with. */
  readonly peers?: readonly Strategy[];
}

/**
 * The workloads as the segment runs them (a cached prefix costs nothing), and its schedule: `simulate(schedule, workloads, cluster)`, with
 * the cluster `clusterInModes` where the plan chose modes.
 *
 * @throws RangeError when the plan has no such segment.
 */
export function scheduleOf(
  { waves, window, memoryReserve, power }: Plan,
  workloads: readonly Workload[],
  cluster: Cluster,
  { segment: index = 0, steps = 1, peers = allPeers }: ScheduleOfOptions = {},
): { schedule: Schedule; workloads: Workload[] } {
  const segments = waves.flatMap(({ lanes }) => lanes.flatMap((lane) => lane.segments));
  const segment = segments[index];
  if (!segment)
    throw new RangeError(`scheduler/scheduleOf: the plan has ${segments.length} segments, got ${index}`);
  const active = workloads
    .filter(({ name }) => segment.tasks.includes(name))
    .map((workload) =>
      ownValue(segment.cache, workload.name) === 'read' ? withCachedPrefix(workload) : workload,
    );
  const schedule = buildSchedule(
    openCostModel(active, usableCluster(clusterInModes(cluster, power?.modes ?? {}), memoryReserve)),
    [segment.placement],
    {
      policy: policies.find(({ name }) => name === segment.policy) ?? contextGear,
      steps: Math.min(steps, segment.rounds),
      window,
      cache: segment.cache,
      passes: peers.find(({ name }) => name === segment.strategy)?.passes ?? [],
    },
  );
  return { schedule, workloads: active };
}
