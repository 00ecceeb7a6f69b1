/**
 * Divides a wave into intervals, runs of equal steps: a new one begins where a task is done, and where its first epoch ends so that its
 * frozen prefix can come from the activation cache.
 */
import type { ClusterCosts } from '../cost/cluster-costs.js';
import { openCostModel } from '../cost/cost-model.js';
import { effortFor } from '../search/effort.js';
import type { IntervalProblem } from '../search/interval-problem.js';
import { lowestTrainedLayer, withCachedPrefix, type Workload } from '../problem/workload.js';

export interface IntervalSettings extends Pick<
  IntervalProblem,
  'objective' | 'window' | 'groupLimit' | 'policies'
> {
  /** Numbers of micro-batches to consider; by default powers of two up to the samples of a step, 64 at most (16 for more than 64 devices). */
  readonly microbatches: readonly number[] | undefined;
}

/** One problem per interval, in order. `useCache`: whether to keep prefixes of tasks that see their samples more than once. */
export function intervalsOf(
  workloads: readonly Workload[],
  opened: ClusterCosts,
  settings: IntervalSettings,
  useCache: boolean,
): IntervalProblem[] {
  const stepsOf = ({ steps = 1 }: Workload) => steps;
  const split = new Map(workloads.map((workload) => [workload, cacheSteps(workload, useCache)]));
  const breaks = new Set([...split].flatMap(([workload, { first }]) => [first, stepsOf(workload)]));
  const problems: IntervalProblem[] = [];
  let from = 0;
  for (const to of [...breaks].sort((a, b) => a - b)) {
    const active = workloads.filter((workload) => stepsOf(workload) > from);
    // Entries, not assignments: a task may be called `__proto__`.
    const cache: [string, 'write' | 'read'][] = [];
    const cacheBytes: [string, number][] = [];
    const costed = active.map((workload) => {
      const { first, later } = split.get(workload)!;
      if (later === 0) return workload;
      const read = from >= first;
      cache.push([workload.name, read ? 'read' : 'write']);
      const { outputBytes } = workload.layers[lowestTrainedLayer(workload) - 1]!;
      cacheBytes.push([workload.name, outputBytes * workload.samples * first]);
      return read ? withCachedPrefix(workload) : workload;
    });
    problems.push({
      ...settings,
      costs: openCostModel(costed, opened.cluster, opened),
      tasks: active.map(({ name }) => name),
      steps: to - from,
      cache: Object.fromEntries(cache),
      cacheBytes: Object.fromEntries(cacheBytes),
      microbatches: settings.microbatches ?? divisionsOf(active, opened.devices.length),
      anyMicrobatches: settings.microbatches === undefined,
    });
    from = to;
  }
  return problems;
}

/** Steps that run the frozen prefix, and steps that could read it from a cache. */
export function cacheSteps(workload: Workload, useCache: boolean): { first: number; later: number } {
  const { steps = 1, epochs = 1 } = workload;
  const first = useCache && epochs > 1 && hasPrefix(workload) ? Math.ceil(steps / epochs) : steps;
  return { first, later: steps - first };
}

/** Whether a cache would save anything: a frozen layer that computes, below one that trains. */
function hasPrefix(workload: Workload): boolean {
  const lowest = lowestTrainedLayer(workload);
  return (
    lowest < workload.layers.length &&
    workload.layers.slice(0, lowest).some(({ forwardFlops }) => forwardFlops > 0)
  );
}

function divisionsOf(workloads: readonly Workload[], deviceCount: number): number[] {
  const most = Math.min(effortFor(deviceCount).microbatches, ...workloads.map(({ samples }) => samples));
  const divisions = [];
  for (let count = 1; count < most; count *= 2) divisions.push(count);
  return [...divisions, most];
}
