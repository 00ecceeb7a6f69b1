/** Devices and tasks in an order that neither their names nor the order of the input decides. */
import { type ClusterCosts, openCluster } from '../cost/cluster-costs.js';
import type { Cluster } from '../problem/cluster.js';
import type { Workload } from '../problem/workload.js';
import { levelsOf, taskGraph } from './jobs.js';

/** Fastest first; devices of equal profile by how they reach the others. */
export function inCanonicalOrder(cluster: Cluster): Cluster {
  const opened = openCluster(cluster);
  const speed = (index: number) => opened.devices[index]!.forwardRate;
  const profiles = cluster.devices.map((device) => JSON.stringify({ ...device, id: '' }));
  const reaches = new Map<number, string>();
  const reachOf = (index: number): string => {
    let reach = reaches.get(index);
    if (reach === undefined) reaches.set(index, (reach = describeReach(opened, index, profiles)));
    return reach;
  };
  const order = [...cluster.devices.keys()].sort(
    (a, b) =>
      speed(b) - speed(a) || compare(profiles[a]!, profiles[b]!) || compare(reachOf(a), reachOf(b)) || a - b,
  );
  return { ...cluster, devices: order.map((index) => cluster.devices[index]!) };
}

/** By level, then by cost; tasks of equal cost by those that they wait for and that wait for them, as far as these differ. */
export function tasksInCanonicalOrder(workloads: readonly Workload[]): Workload[] {
  const graph = taskGraph(workloads);
  const levels = levelsOf(graph);
  let keys = workloads.map(({ samples, steps, epochs, validationSamples, promptSamples, layers }) =>
    JSON.stringify([
      [samples, steps, epochs, validationSamples, promptSamples],
      layers.map((one) => [
        [one.forwardFlops, one.inputFlops, one.weightFlops, one.outputBytes],
        [one.parameterBytes, one.gradientBytes, one.optimizerBytes, one.activationBytes],
      ]),
    ]),
  );
  // A round looks one level further.
  for (let left = levels.length; left > 0; left--) {
    const labels = new Map([...new Set(keys)].sort(compare).map((key, label) => [key, label]));
    const own = keys.map((key) => labels.get(key)!);
    const of = (others: readonly number[]) => others.map((other) => own[other]!).sort((a, b) => a - b);
    keys = own.map((label, task) =>
      JSON.stringify([label, of(graph.parents[task]!), of(graph.children[task]!)]),
    );
  }
  return levels
    .flatMap((level) => level.toSorted((a, b) => compare(keys[a]!, keys[b]!) || a - b))
    .map((task) => workloads[task]!);
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function describeReach(
  { devices, routes, cluster }: ClusterCosts,
  from: number,
  profiles: readonly string[],
): string {
  const { id } = devices[from]!;
  const reach = [...devices.keys()].map((to) => {
    const { bytesPerSecond = 0, latencySeconds = 0, medium = -1 } = routes.route(from, to) ?? {};
    return `${bytesPerSecond} ${latencySeconds} ${medium >= 0} ${profiles[to]}`;
  });
  return `${cluster.keeper === id} ${cluster.resident?.includes(id) ?? true} ${reach.sort().join('|')}`;
}
