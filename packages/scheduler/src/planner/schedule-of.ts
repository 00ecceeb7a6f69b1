/** The schedule of a planned segment, to simulate, draw or execute. */
import { buildSchedule, type Schedule } from '../schedule/build-schedule.js';
import { type Cluster, usableCluster } from '../problem/cluster.js';
import { openCostModel } from '../cost/cost-model.js';
import { ownValue } from '../problem/own-value.js';
import { peers as allPeers } from '../peers/peers.js';
import type { Strategy } from '../peers/strategy.js';
import { contextGear, contextGearDeep } from '../schedule/policies/context-gear.js';
import { gpipe } from '../schedule/policies/gpipe.js';
import { lorapp } from '../schedule/policies/lorapp.js';
import { oneForwardOneBackward, oneForwardOneBackwardDeep } from '../schedule/policies/one-forward-one-backward.js';
import { withCachedPrefix, type Workload } from '../problem/workload.js';
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
  /** Instead of one segment: the first segments of all lanes of this wave, side by side. */
  readonly wave?: number;
  /** Optimizer steps to lay out; at most the segments'. */
  readonly steps?: number;
  /** The strategies the plan was made with. */
  readonly peers?: readonly Strategy[];
}

/**
 * The workloads as the segment runs them (a cached prefix costs nothing), and its schedule: `simulate(schedule, workloads, cluster)`, with
 * the cluster `clusterInModes` where the plan chose modes.
 *
 * @throws RangeError when the plan has no such segment or wave.
 */
export function scheduleOf(
  { waves, window, memoryReserve, power }: Plan,
  workloads: readonly Workload[],
  cluster: Cluster,
  { segment: index = 0, wave, steps = 1, peers = allPeers }: ScheduleOfOptions = {},
): { schedule: Schedule; workloads: Workload[] } {
  const segments = waves.flatMap(({ lanes }) => lanes.flatMap((lane) => lane.segments));
  const chosen =
    wave === undefined
      ? segments.slice(index, index + 1)
      : (waves[wave]?.lanes ?? []).flatMap((lane) => lane.segments.slice(0, 1));
  const [first] = chosen;
  if (!first)
    throw new RangeError(
      `scheduler/scheduleOf: the plan has ${segments.length} segments in ${waves.length} waves, got ` +
        (wave === undefined ? `segment ${index}` : `wave ${wave}`),
    );
  const tasks = chosen.flatMap((segment) => segment.tasks);
  // Entries, not a spread: a task may be called `__proto__`.
  const cache = Object.fromEntries(chosen.flatMap((segment) => Object.entries(segment.cache)));
  const active = workloads
    .filter(({ name }) => tasks.includes(name))
    .map((workload) => (ownValue(cache, workload.name) === 'read' ? withCachedPrefix(workload) : workload));
  const schedule = buildSchedule(
    openCostModel(active, usableCluster(clusterInModes(cluster, power?.modes ?? {}), memoryReserve)),
    chosen.map(({ placement }) => placement),
    {
      // Lanes keep to one device each, where all policies give the same order.
      policy: policies.find(({ name }) => name === first.policy) ?? contextGear,
      steps: Math.min(steps, ...chosen.map(({ rounds }) => rounds)),
      window,
      cache,
      passes: peers.find(({ name }) => name === first.strategy)?.passes ?? [],
    },
  );
  return { schedule, workloads: active };
}
