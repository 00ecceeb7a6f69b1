/** The lower bound of a whole plan: all work on all devices, and the longest chain of tasks that wait for each other. */
import type { Cluster } from '../cluster.js';
import { lowerBound } from '../search/lower-bound.js';
import { type Workload, withCachedPrefix } from '../workload.js';
import { hasPrefix } from './segments.js';
import { aloneProblem, type WaveSearch } from './search-wave.js';
import { criticalPath } from './waves.js';

/** `wholeLayers`: whether the plan keeps layers whole, so that the bounds of pipelines hold; else only the work counts. */
export function planBound(
  workloads: readonly Workload[],
  cluster: Cluster,
  search: WaveSearch,
  wholeLayers: boolean,
): number {
  const speed = cluster.devices.reduce((sum, { flopsPerSecond }) => {
    const rates = flopsPerSecond;
    return sum + (typeof rates === 'number' ? rates : Math.max(rates.forward, rates.input, rates.weight));
  }, 0);
  const flops = workloads.reduce((sum, workload) => {
    const [first, later] = roundsOf(workload, search.cache);
    return sum + first * flopsOf(workload) + later * flopsOf(withCachedPrefix(workload));
  }, 0);
  if (!wholeLayers) return flops / speed;
  const chain = criticalPath(workloads, (workload) => {
    const [first, later] = roundsOf(workload, search.cache);
    const secondsOf = (one: Workload) => lowerBound(aloneProblem(search, one)).stepSeconds;
    return first * secondsOf(workload) + (later > 0 ? later * secondsOf(withCachedPrefix(workload)) : 0);
  });
  return Math.max(flops / speed, chain);
}

/** Steps that run the frozen prefix, and steps that could read it from a cache. */
function roundsOf(workload: Workload, cache: boolean): [number, number] {
  const { steps = 1, epochs = 1 } = workload;
  if (!cache || epochs === 1 || !hasPrefix(workload)) return [steps, 0];
  const first = Math.ceil(steps / epochs);
  return [first, steps - first];
}

const flopsOf = ({ layers, samples }: Workload): number =>
  samples * layers.reduce((sum, layer) => sum + layer.forwardFlops + layer.inputFlops + layer.weightFlops, 0);
