/** What time and energy plans take: the front of a cluster, and each of its devices alone in each of its modes for comparison. */
import type { Cluster } from '../problem/cluster.js';
import { plan, type Plan } from './plan.js';
import { type ChosenModes, clusterInModes } from './power-settings.js';
import { timeEnergyFront } from './time-energy-front.js';
import { SchedulerInputError } from '../scheduler-error.js';
import type { Objective } from '../search/interval-problem.js';
import type { Workload } from '../problem/workload.js';

export interface TimeEnergyPoint {
  readonly totalSeconds: number;
  readonly totalJoules: number;
  /** The devices that compute, with the mode of those that do not run as their profiles say: `nano at 5W`. */
  readonly devices: readonly string[];
}

export interface FrontOfCluster {
  /** Fastest first; what was minimised is beside each. */
  readonly front: readonly (TimeEnergyPoint & { readonly objective: Objective })[];
  /** One device for everything; a device on which the model does not fit is left out. */
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
  const own = devices.filter((device) => device.id === id);
  try {
    const found = plan(workloads, { devices: own, links: [] }, { peers: [] });
    const { totalSeconds, totalJoules } = found;
    return totalJoules === undefined
      ? []
      : [{ totalSeconds, totalJoules, devices: devicesOf(found, chosen) }];
  } catch (error) {
    // Too little memory, or watts beyond the device's limit.
    if (error instanceof SchedulerInputError) return [];
    throw error;
  }
}

function devicesOf({ waves }: Plan, modes: ChosenModes): string[] {
  const used = waves
    .flatMap(({ lanes }) => lanes.flatMap(({ segments }) => segments))
    .flatMap(({ placement }) => placement.stages.flatMap(({ members }) => members))
    .map(({ device }) => (modes[device] === undefined ? device : `${device} at ${modes[device]}`));
  return [...new Set(used)].sort();
}
