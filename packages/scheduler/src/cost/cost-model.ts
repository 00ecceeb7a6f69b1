/** Workloads and a cluster, resolved for many questions about cost. */
import type { Cluster } from '../problem/cluster.js';
import type { Workload } from '../problem/workload.js';
import { type Placement, splitsWork, type Stage } from '../schedule/placement.js';
import { type MemberLoad, memberLoads, type SampleShares, stageSharesOf } from '../schedule/sample-shares.js';
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
  /** How the samples of tasks fall on a stage's members in so many micro-batches, by task; remembered as long as the stage is. */
  readonly stageShares: (stage: Stage, tasks: readonly string[], microbatches: number) => StageShares;
  readonly sharesOf: (placement: Placement) => SampleShares;
  /** What each member of a stage handles, from the stage's part of the shares. */
  readonly loadsOf: (rows: StageShares[number]) => readonly MemberLoad[];
  /** What is found about shares, or about rows of them, remembered as long as they are; there is one question about each. */
  readonly once: <T>(about: StageShares, find: () => T) => T;
  /** Stages that a search has made, by a name of its own. */
  readonly stages: Map<string, Stage | undefined>;
}

/** One stage's part of the sample shares: `shares[task][microbatch][member]`. */
export type StageShares = readonly SampleShares[number][number][];

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
  // Placements that a search looks at have most of their stages in common.
  const shares = new WeakMap<Stage, { tasks: readonly string[]; microbatches: number; found: StageShares }>();
  const splits = new Map<string, StageShares[number]>();
  const known = new WeakMap<object, unknown>();
  const once = <T>(about: object, find: () => T): T => {
    let found = known.get(about) as T | undefined;
    if (found === undefined) known.set(about, (found = find()));
    return found;
  };
  const stageShares: CostModel['stageShares'] = (stage, names, microbatches) => {
    const before = shares.get(stage);
    if (before?.microbatches === microbatches && areSame(before.tasks, names)) return before.found;
    const key = splitsWork(stage.members) ? 'work' : stage.members.map(({ share }) => share).join();
    const found = names.map((name) => {
      const question = `${samplesOf(name)} ${microbatches} ${stage.members.length} ${key}`;
      let rows = splits.get(question);
      if (!rows) splits.set(question, (rows = stageSharesOf(samplesOf(name), microbatches, stage.members)));
      return rows;
    });
    shares.set(stage, { tasks: names, microbatches, found });
    return found;
  };
  const byPlacement = new WeakMap<Placement, SampleShares>();
  return {
    ...opened,
    samplesOf,
    stageShares,
    sharesOf(placement) {
      let found = byPlacement.get(placement);
      if (!found) {
        const { tasks: names, stages, microbatches } = placement;
        const all = stages.map((stage) => stageShares(stage, names, microbatches));
        byPlacement.set(placement, (found = names.map((_, task) => all.map((stage) => stage[task]!))));
      }
      return found;
    },
    loadsOf: (rows) => once(rows, () => memberLoads(rows)),
    once,
    stages: new Map(),
    layerCount: workloads[0]?.layers.length ?? 0,
    tasks,
    taskIndex,
    taskNamed: (name) => tasks[taskIndex(name)]!,
  };
}

const areSame = (a: readonly string[], b: readonly string[]): boolean =>
  a === b || (a.length === b.length && a.every((name, index) => name === b[index]));
