/**
 * Divides a wave into segments, runs of equal steps: a new one begins where a task is done, or where its first epoch ends and its frozen
 * prefix can come from the activation cache.
 */
import { type ClusterCosts, openCostModel } from '../cost/cost-model.js';
import type { SegmentProblem } from '../search/interval-problem.js';
import { lowestTrainedLayer, withCachedPrefix, type Workload } from '../problem/workload.js';

export interface SegmentSettings extends Pick<
  SegmentProblem,
  'objective' | 'window' | 'groupLimit' | 'policies'
> {
  /** Numbers of micro-batches to consider; by default powers of two up to the samples of a step, 64 at most (16 for more than 64 devices). */
  readonly microbatches: readonly number[] | undefined;
}

/** One problem per segment, in order. `useCache`: whether to keep prefixes of tasks that see their samples more than once. */
export function segmentsOf(
  workloads: readonly Workload[],
  opened: ClusterCosts,
  settings: SegmentSettings,
  useCache: boolean,
): SegmentProblem[] {
  const stepsOf = ({ steps = 1 }: Workload) => steps;
  const firstEpoch = (workload: Workload) => Math.ceil(stepsOf(workload) / (workload.epochs ?? 1));
  const caches = (workload: Workload) =>
    useCache && (workload.epochs ?? 1) > 1 && firstEpoch(workload) < stepsOf(workload) && hasPrefix(workload);
  const breaks = new Set(
    workloads.flatMap((workload) =>
      caches(workload) ? [firstEpoch(workload), stepsOf(workload)] : [stepsOf(workload)],
    ),
  );
  const problems: SegmentProblem[] = [];
  let from = 0;
  for (const to of [...breaks].sort((a, b) => a - b)) {
    const active = workloads.filter((workload) => stepsOf(workload) > from);
    // Entries, not assignments: a task may be called `__proto__`.
    const cache: [string, 'write' | 'read'][] = [];
    const cacheBytes: [string, number][] = [];
    const costed = active.map((workload) => {
      if (!caches(workload)) return workload;
      const read = from >= firstEpoch(workload);
      cache.push([workload.name, read ? 'read' : 'write']);
      const { outputBytes } = workload.layers[lowestTrainedLayer(workload) - 1]!;
      cacheBytes.push([workload.name, outputBytes * workload.samples * firstEpoch(workload)]);
      return read ? withCachedPrefix(workload) : workload;
    });
    problems.push({
      ...settings,
      costs: openCostModel(costed, opened.cluster, opened),
      tasks: active.map(({ name }) => name),
      rounds: to - from,
      cache: Object.fromEntries(cache),
      cacheBytes: Object.fromEntries(cacheBytes),
      microbatches: settings.microbatches ?? divisionsOf(active, opened.devices.length),
    });
    from = to;
  }
  return problems;
}

/** Whether a cache would save anything: a frozen layer that computes, below one that trains. */
export function hasPrefix(workload: Workload): boolean {
  const lowest = lowestTrainedLayer(workload);
  return (
    lowest < workload.layers.length &&
    workload.layers.slice(0, lowest).some(({ forwardFlops }) => forwardFlops > 0)
  );
}

function divisionsOf(workloads: readonly Workload[], deviceCount: number): number[] {
  // What a simulation costs grows with devices times micro-batches.
  const most = Math.min(deviceCount > 64 ? 16 : 64, ...workloads.map(({ samples }) => samples));
  const divisions = [];
  for (let count = 1; count < most; count *= 2) divisions.push(count);
  return [...divisions, most];
}
