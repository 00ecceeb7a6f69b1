/** What each peer needs for a whole set of dependent tasks, tuned, on the same devices and by the same simulator. */
import { type ClusterCosts, openCluster } from '../cost/cluster-costs.js';
import { intervalsOf } from '../planner/intervals.js';
import { checkInput } from '../problem/check-input.js';
import type { Cluster } from '../problem/cluster.js';
import type { Workload } from '../problem/workload.js';
import { limits } from '../search/effort.js';
import { peers } from './peers.js';
import { type Strategy, tuneStrategy } from './strategy.js';
import { listScheduleTasks } from './task-parallel.js';

export interface PeerResult {
  readonly strategy: string;
  readonly totalSeconds: number;
  readonly totalBytes: number;
}

export interface ComparePeersOptions {
  /** By default all peers, and task-parallel list scheduling. */
  readonly strategies?: readonly Strategy[];
  /** Whether each is given an activation cache of frozen prefixes after the first epoch, where that helps it. */
  readonly cache?: boolean;
}

export const taskParallelName = 'task-parallel list scheduling';

/**
 * Strategies train one depth of the task graph after the other: its tasks in one pipeline where they can and where that is faster, else
 * one after the other, each with its best settings. Moving between placements costs them nothing. Fastest first; strategies for which
 * nothing fits are left out.
 *
 * @throws SchedulerError listing everything that is wrong with the workloads and the cluster.
 */
export function comparePeers(
  workloads: readonly Workload[],
  cluster: Cluster,
  { strategies, cache = false }: ComparePeersOptions = {},
): PeerResult[] {
  checkInput(workloads, cluster, 'comparePeers');
  const opened = openCluster(cluster);
  const depths = tasksByDepth(workloads);
  const results = (strategies ?? peers).map((strategy) => runStrategy(strategy, depths, opened, cache));
  const apart = strategies ? undefined : listScheduleTasks(workloads, cluster, { cache });
  if (apart) results.push({ strategy: taskParallelName, totalSeconds: apart.totalSeconds, totalBytes: 0 });
  return results.filter((result) => result !== undefined).sort((a, b) => a.totalSeconds - b.totalSeconds);
}

function runStrategy(
  strategy: Strategy,
  depths: readonly (readonly Workload[])[],
  opened: ClusterCosts,
  cache: boolean,
): PeerResult | undefined {
  type Cost = Pick<PeerResult, 'totalSeconds' | 'totalBytes'>;
  const known = new Map<string, Cost>();
  const none: Cost = { totalSeconds: Infinity, totalBytes: 0 };
  const faster = (a: Cost, b: Cost) => (b.totalSeconds < a.totalSeconds ? b : a);
  const inTurn = (parts: readonly Cost[]): Cost => ({
    totalSeconds: parts.reduce((sum, { totalSeconds }) => sum + totalSeconds, 0),
    totalBytes: parts.reduce((sum, { totalBytes }) => sum + totalBytes, 0),
  });
  const train = (tasks: readonly Workload[], useCache: boolean): Cost => {
    const settings = { objective: 'time', window: 2, groupLimit: limits.group, policies: [] } as const;
    const problems = intervalsOf(tasks, opened, { ...settings, microbatches: undefined }, useCache);
    return inTurn(
      problems.map((problem) => {
        const found = tuneStrategy(strategy, problem, { thorough: true });
        if (!found) return none;
        return { totalSeconds: found.totalSeconds, totalBytes: found.bytesPerStep * problem.steps };
      }),
    );
  };
  /** Tasks of equal costs take equal time. */
  const trainOnce = (tasks: readonly Workload[]): Cost => {
    const key = JSON.stringify(
      tasks.map(({ layers, samples, steps, epochs }) => [layers, samples, steps, epochs]),
    );
    let cost = known.get(key);
    if (!cost) {
      cost = train(tasks, false);
      if (cache && tasks.some(({ epochs = 1 }) => epochs > 1)) cost = faster(cost, train(tasks, true));
      known.set(key, cost);
    }
    return cost;
  };
  const total = inTurn(
    depths.map((tasks) => {
      const apart = inTurn(tasks.map((task) => trainOnce([task])));
      return strategy.interleavesTasks && tasks.length > 1 ? faster(apart, trainOnce(tasks)) : apart;
    }),
  );
  return total.totalSeconds < Infinity ? { strategy: strategy.name, ...total } : undefined;
}

/** A task stands one depth below the deepest of its parents. */
function tasksByDepth(workloads: readonly Workload[]): Workload[][] {
  const byName = new Map(workloads.map((workload) => [workload.name, workload]));
  const known = new Map<Workload, number>();
  const depthOf = (workload: Workload): number => {
    let depth = known.get(workload);
    if (depth === undefined) {
      depth = 1 + Math.max(-1, ...(workload.dependsOn ?? []).map((parent) => depthOf(byName.get(parent)!)));
      known.set(workload, depth);
    }
    return depth;
  };
  const depths: Workload[][] = [];
  for (const workload of workloads) (depths[depthOf(workload)] ??= []).push(workload);
  return depths;
}
