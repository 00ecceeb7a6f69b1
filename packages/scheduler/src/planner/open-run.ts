/** A run and what its lanes are searched with, from what a caller gives: tasks and devices in canonical order, routes and costs resolved. */
import { type ClusterCosts, openCluster } from '../cost/cluster-costs.js';
import { openCostModel } from '../cost/cost-model.js';
import { peers as allPeers } from '../peers/peers.js';
import { type Cluster, usableCluster } from '../problem/cluster.js';
import type { Workload } from '../problem/workload.js';
import { contextGear, contextGearDeep, contextGearFull } from '../schedule/policies/context-gear.js';
import { effortFor, limits } from '../search/effort.js';
import { inCanonicalOrder, tasksInCanonicalOrder } from './canonical-order.js';
import type { LaneSearch } from './found-intervals.js';
import { taskGraph } from './jobs.js';
import type { PlanOptions } from './plan-options.js';
import type { Run } from './run.js';

export function openRun(
  given: readonly Workload[],
  cluster: Cluster,
  {
    objective = 'time',
    microbatches,
    groupLimit = limits.group,
    memoryReserve = 0,
    window = 2,
    cache = true,
    peers = allPeers,
    budget = limits.budget,
    exactDevices = limits.exactDevices,
    exactLayers = limits.exactLayersInPlan,
  }: PlanOptions = {},
): { readonly run: Run; readonly lanes: LaneSearch } {
  const workloads = tasksInCanonicalOrder(given);
  const usable = inCanonicalOrder(usableCluster(cluster, memoryReserve));
  const opened = openCluster(usable);
  const { orders, budgetShare } = effortFor(usable.devices.length);
  const holders = baseHolders(opened);
  return {
    run: { graph: taskGraph(workloads), costs: openCostModel(workloads, usable, opened), holders },
    lanes: {
      opened,
      holders,
      settings: {
        objective,
        microbatches,
        window,
        groupLimit,
        policies: [contextGearFull, contextGear, contextGearDeep].slice(-orders),
      },
      options: { budget: budget * budgetShare, exactDevices, exactLayers },
      peers,
      cache,
      look: opened.devices.length > limits.allDeviceSets ? 'bound' : 'search',
      memory: new Map(),
      clusters: new Map(),
    },
  };
}

function baseHolders({
  cluster: { resident, keeper },
  routes,
  deviceIndex,
  devices,
}: ClusterCosts): Run['holders'] {
  const held = resident && new Set(resident);
  return {
    routes,
    deviceIndex,
    holdsBase: (device) => !held || held.has(devices[device]!.id) || devices[device]!.id === keeper,
    keeper: keeper === undefined ? undefined : deviceIndex(keeper),
  };
}
