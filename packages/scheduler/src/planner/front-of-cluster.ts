/** What time and energy plans take: the front of a cluster, and each of its devices alone in each of its modes for comparison. */
import type { Cluster } from '../problem/cluster.js';
import { type ChosenModes, clusterInModes } from '../problem/cluster-in-modes.js';
import { plan } from './plan.js';
import type { Plan } from './planned.js';
import { timeEnergyFront } from './time-energy-front.js';
import { SchedulerError } from '../scheduler-error.js';
import type { Objective } from '../search/interval-problem.js';
import type { Workload } from '../problem/workload.js';

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

function devicesOf({ waves }: Plan, modes: ChosenModes): string[] {
  const used = waves
    .flatMap(({ lanes }) => lanes.flatMap(({ intervals }) => intervals))
    .flatMap(({ placement }) => placement.stages.flatMap(({ members }) => members))
    .map(({ device }) => (modes[device] === undefined ? device : `${device} at ${modes[device]}`));
  return [...new Set(used)].sort();
}
