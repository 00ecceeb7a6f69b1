/** What less energy costs in time: plans of which none is both faster and more frugal than another, and single devices to compare them with. */
import type { Cluster } from '../problem/cluster.js';
import { SchedulerError } from '../scheduler-error.js';
import { limits } from '../search/effort.js';
import type { Objective } from '../search/interval-problem.js';
import type { Workload } from '../problem/workload.js';
import { plan } from './plan.js';
import { intervalsOfPlan, type Plan } from './planned.js';
import type { PlanOptions } from './plan-options.js';
import { type ChosenModes, clusterInModes } from '../problem/power-modes.js';

export interface FrontPoint {
  readonly objective: Objective;
  readonly totalSeconds: number;
  readonly totalJoules: number;
  readonly plan: Plan;
}

/**
 * Plans for time, for energy, and for weighted sums between them; fastest first. Points that no weighted sum prefers are not found.
 *
 * @throws SchedulerError as `plan` does, and when no device says what power it draws.
 */
export function timeEnergyFront(
  workloads: readonly Workload[],
  cluster: Cluster,
  options: Omit<PlanOptions, 'objective'> = {},
): FrontPoint[] {
  const pointOf = (objective: Objective): FrontPoint => {
    const found = plan(workloads, cluster, { ...options, objective });
    if (found.totalJoules === undefined)
      throw new SchedulerError(
        'SCHEDULER_INPUT_INVALID',
        'timeEnergyFront',
        'no device says what power it draws ("watts")',
      );
    return { objective, totalSeconds: found.totalSeconds, totalJoules: found.totalJoules, plan: found };
  };
  const fastest = pointOf('time');
  const points = [
    fastest,
    ...limits.frontWeights.map((factor) =>
      pointOf({ secondsWeight: 1, joulesWeight: (factor * fastest.totalSeconds) / fastest.totalJoules }),
    ),
    pointOf('energy'),
  ].sort((a, b) => a.totalSeconds - b.totalSeconds || a.totalJoules - b.totalJoules);
  const front: FrontPoint[] = [];
  for (const point of points)
    if (point.totalJoules < (front.at(-1)?.totalJoules ?? Infinity)) front.push(point);
  return front;
}

export interface TimeEnergyPoint {
  readonly totalSeconds: number;
  readonly totalJoules: number;
  /** The devices that compute, with the mode of those that do not run as their profiles say: `nano at 5W`. */
  readonly devices: readonly string[];
}

export interface FrontOfCluster {
  /** Fastest first, each with what was minimised. */
  readonly front: readonly (TimeEnergyPoint & { readonly objective: Objective })[];
  /** Each device by itself; those on which the model does not fit are left out. */
  readonly alone: readonly TimeEnergyPoint[];
}

/** @throws as `timeEnergyFront` does. */
export function frontOfCluster(workloads: readonly Workload[], cluster: Cluster): FrontOfCluster {
  const front = timeEnergyFront(workloads, cluster).map(
    ({ objective, totalSeconds, totalJoules, plan: found }) => ({
      objective,
      totalSeconds,
      totalJoules,
      devices: devicesOf(found, found.power?.modes ?? {}),
    }),
  );
  const alone = cluster.devices.flatMap(({ id, modes = [] }) =>
    [undefined, ...modes.map(({ name }) => name)].flatMap((mode) => {
      const chosen: ChosenModes = mode === undefined ? {} : { [id]: mode };
      return pointAlone(workloads, clusterInModes(cluster, chosen), { id, chosen });
    }),
  );
  return { front, alone };
}

function pointAlone(
  workloads: readonly Workload[],
  { devices }: Cluster,
  { id, chosen }: { readonly id: string; readonly chosen: ChosenModes },
): TimeEnergyPoint[] {
  const alone = devices.filter((device) => device.id === id);
  try {
    const found = plan(workloads, { devices: alone, links: [] }, { peers: [] });
    const { totalSeconds, totalJoules } = found;
    return totalJoules === undefined
      ? []
      : [{ totalSeconds, totalJoules, devices: devicesOf(found, chosen) }];
  } catch (error) {
    if (error instanceof SchedulerError && isBeyondDevice(error)) return [];
    throw error;
  }
}

/** It has too little memory, or draws more than its limit. */
const isBeyondDevice = ({ code }: SchedulerError): boolean =>
  code === 'SCHEDULER_NOTHING_FITS' || code === 'SCHEDULER_LIMIT_EXCEEDED';

function devicesOf(found: Plan, modes: ChosenModes): string[] {
  const used = intervalsOfPlan(found)
    .flatMap(({ placement }) => placement.stages.flatMap(({ members }) => members))
    .map(({ device }) => (modes[device] === undefined ? device : `${device} at ${modes[device]}`));
  return [...new Set(used)].sort();
}
