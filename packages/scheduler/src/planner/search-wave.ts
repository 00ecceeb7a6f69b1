/** How the tasks of a wave may share the devices: all in one pipeline, one after the other, or each task on a device of its own. */
import type { ClusterCosts } from '../cost/cluster-costs.js';
import { openCostModel } from '../cost/cost-model.js';
import { ownValue } from '../problem/names.js';
import { type Strategy, tuneStrategy } from '../peers/strategy.js';
import { contextGearName } from './context-gear-name.js';
import { assessPlacement } from '../search/assess-placement.js';
import { effortFor, limits } from '../search/effort.js';
import { type LowerBound, lowerBound } from '../search/lower-bound.js';
import { searchInterval, type SearchIntervalOptions } from '../search/search-interval.js';
import { type Assessment, type IntervalProblem, placementOn, valueOf } from '../search/interval-problem.js';
import type { Workload } from '../problem/workload.js';
import { type IntervalSettings, intervalsOf } from './intervals.js';

export interface WaveSearch {
  readonly opened: ClusterCosts;
  readonly settings: IntervalSettings;
  readonly options: SearchIntervalOptions;
  readonly peers: readonly Strategy[];
  readonly cache: boolean;
  /** Answers found so far, by question: tasks of equal cost are asked about once. */
  readonly memory: Map<string, Omit<IntervalNode, 'problem'>>;
}

/** An assessment and the strategy that proposed it. */
export interface NamedAssessment extends Assessment {
  readonly strategy: string;
}

/** One interval with the placements found for it, best first. */
export interface IntervalNode {
  readonly problem: IntervalProblem;
  readonly found: readonly NamedAssessment[];
  readonly search: 'exact' | 'bounded';
  readonly bound: LowerBound;
}

export interface WaveOption {
  readonly tasks: readonly string[];
  /** Each lane a sequence of intervals. */
  readonly lanes: readonly (readonly IntervalNode[])[];
  readonly value: number;
}

/** How a wave's tasks share the devices. */
export interface ArrangementSettings {
  readonly sharing: 'inTurn' | 'apart' | 'together';
  /** Whether a cache that would have been possible is left out. */
  readonly withoutCache: boolean;
}

/** One arrangement of a wave's tasks: as one wave, or as one for each task. */
export interface WaveArrangement extends ArrangementSettings {
  readonly value: number;
  readonly waves: readonly WaveOption[];
}

/** All arrangements, the best by itself first; moves between waves are not counted yet. */
export function searchWave(search: WaveSearch, workloads: readonly Workload[]): WaveArrangement[] {
  // Whether a cache pays depends on the moves before and after it, so each arrangement exists with and without it.
  const seesTwice = workloads.some(({ epochs = 1 }) => epochs > 1);
  const caching = search.cache && seesTwice ? [true, false] : [false];
  const arrangements = caching.flatMap((useCache): WaveArrangement[] => {
    const withoutCache = seesTwice && search.cache && !useCache;
    const alone = workloads.map((workload) => laneOption(search, [workload], useCache));
    const apart = apartOption(search, workloads, useCache);
    const together = workloads.length > 1 ? laneOption(search, workloads, useCache) : undefined;
    return [
      {
        sharing: 'inTurn',
        withoutCache,
        value: alone.reduce((sum, { value }) => sum + value, 0),
        waves: alone,
      },
      // Even a single task may be best off on one device, when another wave leaves the model there.
      ...(apart ? [{ sharing: 'apart' as const, withoutCache, value: apart.value, waves: [apart] }] : []),
      ...(together
        ? [{ sharing: 'together' as const, withoutCache, value: together.value, waves: [together] }]
        : []),
    ];
  });
  return arrangements.filter(({ value }) => value < Infinity).sort((a, b) => a.value - b.value);
}

/** One lane with all devices. */
function laneOption(search: WaveSearch, workloads: readonly Workload[], useCache: boolean): WaveOption {
  const nodes = intervalsOf(workloads, search.opened, search.settings, useCache).map((problem) =>
    searchNode(search, problem),
  );
  return {
    tasks: workloads.map(({ name }) => name),
    lanes: [nodes],
    value: nodes.reduce((sum, { found }) => sum + (found[0]?.value ?? Infinity), 0),
  };
}

/** Searches an interval, or remembers the answer to an equal one. */
function searchNode(search: WaveSearch, problem: IntervalProblem): IntervalNode {
  return remember(search, signatureOf(problem), problem, () => {
    const { found, search: kind } = searchInterval(problem, search.options);
    const named = found
      .slice(0, limits.keptPlacements)
      .map((assessment): NamedAssessment => ({ ...assessment, strategy: contextGearName }));
    const { peerCandidates, peerDivisions } = effortFor(problem.costs.devices.length);
    const asked = { ...problem, microbatches: problem.microbatches.slice(-peerDivisions) };
    for (const strategy of search.peers) {
      if (problem.tasks.length > 1 && !strategy.interleavesTasks) continue;
      const better = tuneStrategy(strategy, asked, {
        incumbent: named[0]?.value ?? Infinity,
        most: peerCandidates,
      });
      if (better) named.unshift({ ...better, strategy: strategy.name });
    }
    return { found: named, search: kind, bound: lowerBound(problem) };
  });
}

function signatureOf({ costs, tasks, steps, cache }: IntervalProblem): string {
  return JSON.stringify([
    steps,
    costs.cluster.devices.map(({ id }) => id),
    tasks.map((name) => {
      const { samples, sums } = costs.taskNamed(name);
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
 * Every task on a device of its own, tasks that share a device one after the other: nothing is exchanged. The longest task chooses first,
 * and each goes where it ends soonest.
 */
function apartOption(
  search: WaveSearch,
  workloads: readonly Workload[],
  useCache: boolean,
): WaveOption | undefined {
  const { opened, settings } = search;
  interface Single {
    readonly nodes: readonly IntervalNode[];
    readonly seconds: number;
    readonly joules: number;
  }
  const singles = workloads.map((workload) => {
    const problems = intervalsOf([workload], opened, settings, useCache).map((problem) => ({
      problem,
      signature: signatureOf(problem),
    }));
    return opened.devices.map(({ id }): Single | undefined => {
      const nodes = problems.map(({ problem, signature }) => onDevice(search, problem, signature, id));
      if (nodes.some(({ found }) => found.length === 0)) return undefined;
      const total = (of: (assessment: NamedAssessment) => number) =>
        nodes.reduce((sum, { found }) => sum + of(found[0]!), 0);
      return {
        nodes,
        seconds: total(({ totalSeconds }) => totalSeconds),
        joules: total(({ totalJoules }) => totalJoules ?? 0),
      };
    });
  });
  const quickest = (task: number) => Math.min(...singles[task]!.map((single) => single?.seconds ?? Infinity));
  const order = workloads.map((_, task) => task).sort((a, b) => quickest(b) - quickest(a) || a - b);
  const lanes: IntervalNode[][] = opened.devices.map(() => []);
  const ends = opened.devices.map(() => 0);
  let joules = 0;
  for (const task of order) {
    let best: { device: number; single: Single; value: number; end: number } | undefined;
    for (const [device, single] of singles[task]!.entries()) {
      if (!single) continue;
      const end = ends[device]! + single.seconds;
      const value = valueOf(settings.objective, Math.max(end, ...ends), joules + single.joules);
      if (!best || value < best.value || (value === best.value && end < best.end))
        best = { device, single, value, end };
    }
    if (!best) return undefined;
    lanes[best.device]!.push(...best.single.nodes);
    ends[best.device] = best.end;
    joules += best.single.joules;
  }
  return {
    tasks: workloads.map(({ name }) => name),
    lanes: lanes.filter((lane) => lane.length > 0),
    // Time passes in all lanes at once, energy adds up.
    value: valueOf(settings.objective, Math.max(...ends), joules),
  };
}

/** An interval on one device, in as few micro-batches as fit, because each one costs another launch. */
function onDevice(
  search: WaveSearch,
  problem: IntervalProblem,
  signature: string,
  device: string,
): IntervalNode {
  return remember(search, `${signature} on ${device}`, problem, () => {
    const bound = lowerBound(problem);
    for (const microbatches of [...problem.microbatches].sort((a, b) => a - b)) {
      const assessment = assessPlacement(problem, placementOn(problem, device, microbatches));
      if (!assessment) continue;
      return { found: [{ ...assessment, strategy: contextGearName }], search: 'exact', bound };
    }
    return { found: [], search: 'exact', bound };
  });
}

function remember(
  { memory }: WaveSearch,
  key: string,
  problem: IntervalProblem,
  find: () => Omit<IntervalNode, 'problem'>,
): IntervalNode {
  let known = memory.get(key);
  if (!known) memory.set(key, (known = find()));
  return {
    ...known,
    problem,
    found: known.found.map((assessment) => ({
      ...assessment,
      placement: { ...assessment.placement, tasks: problem.tasks },
    })),
  };
}

/** The problem of one workload alone, for bounds. */
export const aloneProblem = (search: WaveSearch, workload: Workload): IntervalProblem => ({
  ...search.settings,
  costs: openCostModel([workload], search.opened.cluster, search.opened),
  tasks: [workload.name],
  steps: workload.steps ?? 1,
  cache: {},
  cacheBytes: {},
  microbatches: search.settings.microbatches ?? [1],
});
