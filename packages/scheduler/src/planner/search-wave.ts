/**
 * How the tasks of a wave share the devices: all in one pipeline, one after the other, or apart, each task on devices of its own. The
 * best of the three by the simulator is taken.
 */
import { type ClusterCosts, openCostModel } from '../cost/cost-model.js';
import { ownValue } from '../problem/own-value.js';
import { tuneStrategy, type Strategy } from '../peers/strategy.js';
import { assessPlacement } from '../search/assess-placement.js';
import { type LowerBound, lowerBound } from '../search/lower-bound.js';
import { searchSegment, type SearchSegmentOptions } from '../search/search-interval.js';
import { type Assessment, type SegmentProblem, valueOf } from '../search/interval-problem.js';
import type { Workload } from '../problem/workload.js';
import { segmentsOf, type SegmentSettings } from './intervals.js';

export interface WaveSearch {
  readonly opened: ClusterCosts;
  readonly settings: SegmentSettings;
  readonly options: SearchSegmentOptions;
  readonly peers: readonly Strategy[];
  readonly cache: boolean;
  /** Answers already found, by what was asked: tasks of equal cost are asked about once. */
  readonly memory: Map<string, Omit<SegmentNode, 'problem'>>;
}

/** An assessment and whose idea it was. */
export interface NamedAssessment extends Assessment {
  readonly strategy: string;
}

/** One segment with the placements found for it, best first. */
export interface SegmentNode {
  readonly problem: SegmentProblem;
  readonly found: readonly NamedAssessment[];
  readonly search: 'exact' | 'bounded';
  readonly bound: LowerBound;
}

export interface WaveOption {
  readonly tasks: readonly string[];
  /** Each lane a sequence of segments. */
  readonly lanes: readonly (readonly SegmentNode[])[];
  readonly value: number;
}

const kept = 6;
/** With more, only the most promising settings of every peer are simulated. */
const fewDevices = 10;
const manyDevices = 64;

/** A way to train a wave's tasks: one wave, or one for each task. */
export interface WaveWay {
  readonly kind: string;
  readonly value: number;
  readonly waves: readonly WaveOption[];
}

/** All ways, best first by themselves; moving between waves is not counted yet. */
export function searchWave(search: WaveSearch, workloads: readonly Workload[]): WaveWay[] {
  // Whether a cache pays is only known when the moves before and after it are; so each way exists with and without.
  const seesTwice = workloads.some(({ epochs = 1 }) => epochs > 1);
  const caching = search.cache && seesTwice ? [true, false] : [false];
  const ways = caching.flatMap((useCache): WaveWay[] => {
    const suffix = seesTwice && search.cache && !useCache ? ', without the cache' : '';
    const alone = workloads.map((workload) => laneOption(search, [workload], useCache));
    const apart = apartOption(search, workloads, useCache);
    const together = workloads.length > 1 ? laneOption(search, workloads, useCache) : undefined;
    return [
      {
        kind: `one after the other${suffix}`,
        value: alone.reduce((sum, { value }) => sum + value, 0),
        waves: alone,
      },
      // One task may be best off on one device too, when another wave leaves the model there.
      ...(apart
        ? [{ kind: `apart, on devices of their own${suffix}`, value: apart.value, waves: [apart] }]
        : []),
      ...(together
        ? [{ kind: `together in one pipeline${suffix}`, value: together.value, waves: [together] }]
        : []),
    ];
  });
  return ways.filter(({ value }) => value < Infinity).sort((a, b) => a.value - b.value);
}

/** One lane with all devices. */
function laneOption(search: WaveSearch, workloads: readonly Workload[], useCache: boolean): WaveOption {
  const nodes = segmentsOf(workloads, search.opened, search.settings, useCache).map((problem) =>
    searchNode(search, problem),
  );
  return {
    tasks: workloads.map(({ name }) => name),
    lanes: [nodes],
    value: nodes.reduce((sum, { found }) => sum + (found[0]?.value ?? Infinity), 0),
  };
}

/** Searches a segment, or remembers the answer to an equal one. */
export function searchNode(search: WaveSearch, problem: SegmentProblem): SegmentNode {
  return remember(search, signatureOf(problem), problem, () => {
    const { found, search: kind } = searchSegment(problem, search.options);
    const named = found.slice(0, kept).map((one): NamedAssessment => ({ ...one, strategy: 'ContextGear' }));
    const large = problem.costs.devices.length > fewDevices;
    const many = problem.costs.devices.length > manyDevices;
    const asked = large ? { ...problem, microbatches: problem.microbatches.slice(many ? -1 : -2) } : problem;
    for (const strategy of search.peers) {
      if (problem.tasks.length > 1 && !strategy.interleavesTasks) continue;
      const better = tuneStrategy(strategy, asked, {
        incumbent: named[0]?.value ?? Infinity,
        most: many ? 1 : large ? 2 : Infinity,
      });
      if (better) named.unshift({ ...better, strategy: strategy.name });
    }
    return { found: named, search: kind, bound: lowerBound(problem) };
  });
}

function signatureOf({ costs, tasks, rounds, cache }: SegmentProblem): string {
  return JSON.stringify([
    rounds,
    costs.cluster.devices.map(({ id }) => id),
    tasks.map((name) => {
      const { samples, sums } = costs.tasks[costs.taskIndex(name)]!;
      return [
        samples,
        ownValue(cache, name) ?? '',
        sums.outputBytes,
        ...Object.values(sums).map((sum: Float64Array | readonly number[]) => [...sum]),
      ];
    }),
  ]);
}

/**
 * Every task on a device of its own, tasks that share a device one after the other: nothing is exchanged. Longest task first, each to
 * where it ends soonest.
 */
function apartOption(
  search: WaveSearch,
  workloads: readonly Workload[],
  useCache: boolean,
): WaveOption | undefined {
  const { opened, settings } = search;
  interface Single {
    readonly nodes: readonly SegmentNode[];
    readonly seconds: number;
    readonly joules: number;
  }
  const single = workloads.map((workload) => {
    const problems = segmentsOf([workload], opened, settings, useCache).map((problem) => ({
      problem,
      signature: signatureOf(problem),
    }));
    return opened.devices.map(({ id }): Single | undefined => {
      const nodes = problems.map(({ problem, signature }) => onDevice(search, problem, signature, id));
      if (nodes.some(({ found }) => found.length === 0)) return undefined;
      const total = (of: (one: NamedAssessment) => number) =>
        nodes.reduce((sum, { found }) => sum + of(found[0]!), 0);
      return {
        nodes,
        seconds: total(({ totalSeconds }) => totalSeconds),
        joules: total(({ totalJoules }) => totalJoules ?? 0),
      };
    });
  });
  const quickest = (task: number) => Math.min(...single[task]!.map((one) => one?.seconds ?? Infinity));
  const order = workloads.map((_, task) => task).sort((a, b) => quickest(b) - quickest(a) || a - b);
  const lanes: SegmentNode[][] = opened.devices.map(() => []);
  const ends = opened.devices.map(() => 0);
  let joules = 0;
  for (const task of order) {
    let best: { device: number; one: Single; value: number; end: number } | undefined;
    for (const [device, one] of single[task]!.entries()) {
      if (!one) continue;
      const end = ends[device]! + one.seconds;
      const value = valueOf(settings.objective, Math.max(end, ...ends), joules + one.joules);
      if (!best || value < best.value || (value === best.value && end < best.end))
        best = { device, one, value, end };
    }
    if (!best) return undefined;
    lanes[best.device]!.push(...best.one.nodes);
    ends[best.device] = best.end;
    joules += best.one.joules;
  }
  return {
    tasks: workloads.map(({ name }) => name),
    lanes: lanes.filter((lane) => lane.length > 0),
    // Time passes in all lanes at once, energy adds up.
    value: valueOf(settings.objective, Math.max(...ends), joules),
  };
}

/** A segment on one device alone, in as few micro-batches as fit: every one more is a launch more. */
function onDevice(
  search: WaveSearch,
  problem: SegmentProblem,
  signature: string,
  device: string,
): SegmentNode {
  return remember(search, `${signature} on ${device}`, problem, () => {
    const stages = [{ start: 0, end: problem.costs.layerCount, members: [{ device, share: 1 }] }];
    for (const microbatches of [...problem.microbatches].sort((a, b) => a - b)) {
      const one = assessPlacement(problem, { tasks: problem.tasks, microbatches, stages });
      if (one)
        return { found: [{ ...one, strategy: 'ContextGear' }], search: 'exact', bound: lowerBound(problem) };
    }
    return { found: [], search: 'exact', bound: lowerBound(problem) };
  });
}

function remember(
  { memory }: WaveSearch,
  key: string,
  problem: SegmentProblem,
  find: () => Omit<SegmentNode, 'problem'>,
): SegmentNode {
  let known = memory.get(key);
  if (!known) memory.set(key, (known = find()));
  return {
    ...known,
    problem,
    found: known.found.map((one) => ({ ...one, placement: { ...one.placement, tasks: problem.tasks } })),
  };
}

/** The problem of one workload alone, for bounds. */
export const aloneProblem = (search: WaveSearch, workload: Workload): SegmentProblem => ({
  ...search.settings,
  costs: openCostModel([workload], search.opened.cluster, search.opened),
  tasks: [workload.name],
  rounds: workload.steps ?? 1,
  cache: {},
  cacheBytes: {},
  microbatches: search.settings.microbatches ?? [1],
});
