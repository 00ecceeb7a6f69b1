/** Workloads and a cluster, resolved for many questions about cost. */
import type { Cluster } from '../problem/cluster.js';
import type { Workload } from '../problem/workload.js';
import type { Placement } from '../schedule/placement.js';
import {
  type MemberLoad,
  memberLoads,
  type SampleShares,
  sampleSharesOf,
  splitSamples,
} from '../schedule/sample-shares.js';
import { type ClusterCosts, openCluster } from './cluster-costs.js';
import { lookUp } from '../problem/names.js';
import { type TaskCosts, taskCosts } from './task-costs.js';

/** Workloads and cluster, resolved once for many questions; what it remembers changes no answer. */
export interface CostModel extends ClusterCosts {
  readonly layerCount: number;
  readonly tasks: readonly TaskCosts[];
  readonly taskIndex: (name: string) => number;
  readonly taskNamed: (name: string) => TaskCosts;
  /** Samples of one optimizer step of a task. */
  readonly samplesOf: (task: string) => number;
  /** How a placement's samples fall on its members; remembered as long as the placement is. */
  readonly sharesOf: (placement: Placement) => SampleShares;
  /** What each member of a stage handles, from the stage's part of the shares. */
  readonly loadsOf: (rows: SampleShares[number][number]) => readonly MemberLoad[];
}

/** @param opened the cluster as `openCluster` gives it, where many cost models share one */
export function openCostModel(
  workloads: readonly Workload[],
  cluster: Cluster,
  opened: ClusterCosts = openCluster(cluster),
): CostModel {
  const taskIndices = new Map(workloads.map(({ name }, index) => [name, index]));
  const taskIndex = lookUp(taskIndices, 'workload');
  const tasks = workloads.map(taskCosts);
  const samplesOf = (task: string) => tasks[taskIndex(task)]!.samples;
  const shares = new WeakMap<Placement, SampleShares>();
  // Placements that a search looks at have most of their stages in common.
  const splits = new Map<string, number[][]>();
  const splitOnce: typeof splitSamples = (samples, microbatches, weights) => {
    const key =
      weights.length === 1 ? `${samples}|${microbatches}` : `${samples}|${microbatches}|${weights.join()}`;
    let rows = splits.get(key);
    if (!rows) splits.set(key, (rows = splitSamples(samples, microbatches, weights)));
    return rows;
  };
  const loads = new WeakMap<SampleShares[number][number], readonly MemberLoad[]>();
  return {
    ...opened,
    samplesOf,
    sharesOf(placement) {
      let found = shares.get(placement);
      if (!found) shares.set(placement, (found = sampleSharesOf(placement, samplesOf, splitOnce)));
      return found;
    },
    loadsOf(rows) {
      let found = loads.get(rows);
      if (!found) loads.set(rows, (found = memberLoads(rows)));
      return found;
    },
    layerCount: workloads[0]?.layers.length ?? 0,
    tasks,
    taskIndex,
    taskNamed: (name) => tasks[taskIndex(name)]!,
  };
}
