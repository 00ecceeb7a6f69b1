/**
 * How the tasks of a wave share the devices: all in one pipeline, one after the other, or apart, each task on devices of its own. The
 * best of the three by the simulator is taken.
 */
import type { Cluster } from '../cluster.js';
import { openCostModel } from '../cost-model.js';
import { tuneStrategy, type Strategy } from '../peers/strategy.js';
import { assessPlacement } from '../search/assess-placement.js';
import { type LowerBound, lowerBound } from '../search/lower-bound.js';
import { searchSegment, type SearchSegmentOptions } from '../search/search-segment.js';
import type { Assessment, SegmentProblem } from '../search/segment-problem.js';
import type { Workload } from '../workload.js';
import { segmentsOf, type SegmentSettings } from './segments.js';

export interface WaveSearch {
  readonly cluster: Cluster;
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
  readonly kind: 'alone' | 'together' | 'apart';
  /** Each lane a sequence of segments. */
  readonly lanes: readonly (readonly SegmentNode[])[];
  readonly value: number;
}

const kept = 6;
/** With more, only the most promising settings of every peer are simulated. */
const fewDevices = 10;

/** A way to train a wave's tasks: one wave, or one for each task. */
export interface WaveWay {
  readonly kind: string;
  readonly value: number;
  readonly waves: readonly WaveOption[];
}

/** All ways, best first by themselves; moving between waves is not counted yet. */
export function searchWave(search: WaveSearch, workloads: readonly Workload[]): WaveWay[] {
  const alone = workloads.map((workload) => laneOption(search, [workload], 'alone'));
  const ways: WaveWay[] = [
    { kind: 'one after the other', value: alone.reduce((sum, { value }) => sum + value, 0), waves: alone },
  ];
  // One task may be best off on one device too, when another wave leaves the model there.
  const apart = apartOption(search, workloads);
  if (apart) ways.push({ kind: 'apart, on devices of their own', value: apart.value, waves: [apart] });
  if (workloads.length > 1) {
    const together = laneOption(search, workloads, 'together');
    ways.push({ kind: 'together in one pipeline', value: together.value, waves: [together] });
  }
  return ways.filter(({ value }) => value < Infinity).sort((a, b) => a.value - b.value);
}

/** One lane with all devices, with or without the activation cache, whichever is better. */
function laneOption(
  search: WaveSearch,
  workloads: readonly Workload[],
  kind: 'alone' | 'together',
): WaveOption {
  const option = (nodes: SegmentNode[]): WaveOption => ({
    tasks: workloads.map(({ name }) => name),
    kind,
    lanes: [nodes],
    value: nodes.reduce((sum, { found }) => sum + (found[0]?.value ?? Infinity), 0),
  });
  const solve = (useCache: boolean) =>
    option(
      segmentsOf(workloads, search.cluster, search.settings, useCache).map((problem) =>
        searchNode(search, problem),
      ),
    );
  const plain = solve(false);
  if (!search.cache || workloads.every(({ epochs = 1 }) => epochs === 1)) return plain;
  const cached = solve(true);
  return cached.value < plain.value ? cached : plain;
}

/** Searches a segment, or remembers the answer to an equal one. */
export function searchNode(search: WaveSearch, problem: SegmentProblem): SegmentNode {
  const key = signatureOf(problem);
  const known = search.memory.get(key);
  if (known)
    return {
      ...known,
      problem,
      found: known.found.map((one) => ({ ...one, placement: { ...one.placement, tasks: problem.tasks } })),
    };
  const { found, search: kind } = searchSegment(problem, search.options);
  const named = found.slice(0, kept).map((one): NamedAssessment => ({ ...one, strategy: 'ContextGear' }));
  const large = problem.costs.devices.length > fewDevices;
  const asked = large ? { ...problem, microbatches: problem.microbatches.slice(-2) } : problem;
  for (const strategy of search.peers) {
    if (problem.tasks.length > 1 && !strategy.interleavesTasks) continue;
    const better = tuneStrategy(strategy, asked, {
      incumbent: named[0]?.value ?? Infinity,
      most: large ? 2 : Infinity,
    });
    if (better) named.unshift({ ...better, strategy: strategy.name });
  }
  const node: SegmentNode = { problem, found: named, search: kind, bound: lowerBound(problem) };
  search.memory.set(key, node);
  return node;
}

function signatureOf({ costs, tasks, rounds, cache }: SegmentProblem): string {
  return JSON.stringify([
    rounds,
    costs.cluster.devices.map(({ id }) => id),
    tasks.map((name) => {
      const { samples, sums } = costs.tasks[costs.taskIndex(name)]!;
      return [
        samples,
        cache[name] ?? '',
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
function apartOption(search: WaveSearch, workloads: readonly Workload[]): WaveOption | undefined {
  const { cluster, settings } = search;
  // What each task takes on each device, alone.
  const single = workloads.map((workload) =>
    cluster.devices.map((device): SegmentNode[] | undefined => {
      const nodes = segmentsOf([workload], cluster, settings, search.cache).map((problem): SegmentNode => {
        const key = `${signatureOf(problem)} on ${device.id}`;
        const known = search.memory.get(key);
        if (known)
          return {
            ...known,
            problem,
            found: known.found.map((one) => ({
              ...one,
              placement: { ...one.placement, tasks: problem.tasks },
            })),
          };
        const found = problem.microbatches
          .map((microbatches) =>
            assessPlacement(problem, {
              tasks: problem.tasks,
              microbatches,
              stages: [
                { start: 0, end: problem.costs.layerCount, members: [{ device: device.id, share: 1 }] },
              ],
            }),
          )
          .filter((one) => one !== undefined)
          .sort((a, b) => a.value - b.value)
          .slice(0, 1)
          .map((one): NamedAssessment => ({ ...one, strategy: 'ContextGear' }));
        const node: SegmentNode = { problem, found, search: 'exact', bound: lowerBound(problem) };
        search.memory.set(key, node);
        return node;
      });
      return nodes.every(({ found }) => found.length > 0) ? nodes : undefined;
    }),
  );
  const valueOf = (nodes: readonly SegmentNode[]) =>
    nodes.reduce((sum, { found }) => sum + found[0]!.value, 0);
  const best = (task: number) =>
    Math.min(...single[task]!.map((nodes) => (nodes ? valueOf(nodes) : Infinity)));
  const order = workloads.map((_, task) => task).sort((a, b) => best(b) - best(a) || a - b);
  const lanes: SegmentNode[][] = cluster.devices.map(() => []);
  const ends = cluster.devices.map(() => 0);
  for (const task of order) {
    let soonest = -1;
    for (const [device, nodes] of single[task]!.entries()) {
      if (!nodes) continue;
      const end = ends[device]! + valueOf(nodes);
      if (soonest < 0 || end < ends[soonest]! + valueOf(single[task]![soonest]!)) soonest = device;
    }
    if (soonest < 0) return undefined;
    lanes[soonest]!.push(...single[task]![soonest]!);
    ends[soonest]! += valueOf(single[task]![soonest]!);
  }
  const seconds = settings.objective === 'time';
  return {
    tasks: workloads.map(({ name }) => name),
    kind: 'apart',
    lanes: lanes.filter((lane) => lane.length > 0),
    // Time passes in all lanes at once, energy adds up.
    value: seconds ? Math.max(...ends) : ends.reduce((a, b) => a + b, 0),
  };
}

/** The problem of one workload alone, for bounds. */
export const aloneProblem = (search: WaveSearch, workload: Workload): SegmentProblem => ({
  ...search.settings,
  costs: openCostModel([workload], search.cluster),
  tasks: [workload.name],
  rounds: workload.steps ?? 1,
  cache: {},
  cacheBytes: {},
  microbatches: search.settings.microbatches ?? [1],
});
