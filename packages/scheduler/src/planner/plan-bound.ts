/** The lower bound of a whole plan: all work on all devices, and the longest chain of tasks that wait for each other. */
import { type Workload, withCachedPrefix } from '../problem/workload.js';
import { lowerBound } from '../search/lower-bound.js';
import { cacheSteps } from './intervals.js';
import { openCostModel } from '../cost/cost-model.js';
import type { IntervalProblem } from '../search/interval-problem.js';
import type { LaneSearch } from './modes.js';
import { criticalPath } from './waves.js';

/** @param wholeLayers whether the plan keeps layers whole, so that the bounds of pipelines hold; else only the work counts */
export function planBound(workloads: readonly Workload[], search: LaneSearch, wholeLayers: boolean): number {
  const speed = search.opened.devices.reduce(
    (sum, { forwardRate, inputRate, weightRate }) => sum + Math.max(forwardRate, inputRate, weightRate),
    0,
  );
  const flops = workloads.reduce((sum, workload) => {
    const { first, later } = cacheSteps(workload, search.cache);
    return sum + first * flopsOf(workload) + later * flopsOf(withCachedPrefix(workload));
  }, 0);
  if (!wholeLayers) return flops / speed;
  const secondsOf = (workload: Workload) => lowerBound(aloneProblem(search, workload)).stepSeconds;
  const chain = criticalPath(workloads, (workload) => {
    const { first, later } = cacheSteps(workload, search.cache);
    return first * secondsOf(workload) + (later > 0 ? later * secondsOf(withCachedPrefix(workload)) : 0);
  });
  return Math.max(flops / speed, chain);
}

const flopsOf = ({ layers, samples }: Workload): number =>
  samples * layers.reduce((sum, layer) => sum + layer.forwardFlops + layer.inputFlops + layer.weightFlops, 0);

/** The problem of one workload alone, for bounds. */
const aloneProblem = ({ settings, opened }: LaneSearch, workload: Workload): IntervalProblem => ({
  ...settings,
  costs: openCostModel([workload], opened.cluster, opened),
  tasks: [workload.name],
  steps: workload.steps ?? 1,
  cache: {},
  cacheBytes: {},
  microbatches: settings.microbatches ?? [1],
});
