/** The lower bound of a whole plan: all work on all devices, and the longest chain of tasks that wait for each other. */
import { lowerBound } from '../search/lower-bound.js';
import { withCachedPrefix, type Workload } from '../problem/workload.js';
import { hasPrefix } from './intervals.js';
import { aloneProblem, type WaveSearch } from './search-wave.js';
import { criticalPath } from './waves.js';

/** `wholeLayers`: whether the plan keeps layers whole, so that the bounds of pipelines hold; else only the work counts. */
export function planBound(workloads: readonly Workload[], search: WaveSearch, wholeLayers: boolean): number {
  const speed = search.opened.devices.reduce(
    (sum, { forwardRate, inputRate, weightRate }) => sum + Math.max(forwardRate, inputRate, weightRate),
    0,
  );
  const flops = workloads.reduce((sum, workload) => {
    const [first, later] = stepsOf(workload, search.cache);
    return sum + first * flopsOf(workload) + later * flopsOf(withCachedPrefix(workload));
  }, 0);
  if (!wholeLayers) return flops / speed;
  const chain = criticalPath(workloads, (workload) => {
    const [first, later] = stepsOf(workload, search.cache);
    const secondsOf = (workload: Workload) => lowerBound(aloneProblem(search, workload)).stepSeconds;
    return first * secondsOf(workload) + (later > 0 ? later * secondsOf(withCachedPrefix(workload)) : 0);
  });
  return Math.max(flops / speed, chain);
}

/** Steps that run the frozen prefix, and steps that could read it from a cache. */
function stepsOf(workload: Workload, cache: boolean): [number, number] {
  const { steps = 1, epochs = 1 } = workload;
  if (!cache || epochs === 1 || !hasPrefix(workload)) return [steps, 0];
  const first = Math.ceil(steps / epochs);
  return [first, steps - first];
}

const flopsOf = ({ layers, samples }: Workload): number =>
  samples * layers.reduce((sum, layer) => sum + layer.forwardFlops + layer.inputFlops + layer.weightFlops, 0);
