/** Placements of one interval on a set of devices: what is asked, what is found, and answers to equal questions remembered. */
import type { ClusterCosts } from '../cost/cluster-costs.js';
import { ownValue } from '../problem/names.js';
import { type Strategy, tuneStrategy } from '../peers/strategy.js';
import { assessPlacement } from '../search/assess-placement.js';
import { divisionsOf } from '../search/exact-search.js';
import { effortFor, limits } from '../search/effort.js';
import { type Assessment, type IntervalProblem, placementOn } from '../search/interval-problem.js';
import type { LowerBound } from '../search/lower-bound.js';
import { searchInterval, type SearchIntervalOptions } from '../search/search-interval.js';
import { contextGearName } from './context-gear-name.js';
import type { IntervalSettings } from './intervals.js';
import { promises } from './promise.js';
import type { BaseHolders } from './transfers.js';

export interface LaneSearch {
  readonly opened: ClusterCosts;
  readonly settings: IntervalSettings;
  readonly options: SearchIntervalOptions;
  readonly peers: readonly Strategy[];
  readonly cache: boolean;
  readonly holders: BaseHolders;
  /** How closely sets of devices are looked at before a run uses them. */
  readonly look: Look;
  /** Sets of devices by themselves, opened once. */
  readonly clusters: Map<string, ClusterCosts>;
  /** Answers found so far, by question: tasks of equal cost on interchangeable devices are asked about once. */
  readonly memory: Map<string, FoundInterval & { readonly below: number }>;
}

/** How closely: by the bounds of placements, by a search that simulates, what peers would do, or, where the bound leaves no other, those that split layers. */
export type Look = 'bound' | 'search' | 'peers' | 'split';

/** An assessment and the strategy that proposed it. */
export interface NamedAssessment extends Assessment {
  readonly strategy: string;
}

export interface FoundInterval {
  /** Best first. */
  readonly found: readonly NamedAssessment[];
  readonly search: 'exact' | 'bounded';
  readonly bound: LowerBound;
}

export interface ModeQuestion {
  /** Only a mode of less value is of interest. */
  readonly below: number;
  readonly peers: readonly Strategy[];
  readonly look: Look;
  /** Part of the budget that a search may spend. */
  readonly share: number;
}

/** Searches an interval on a set of devices, or remembers the answer to an equal question. */
export function searchOn(
  search: LaneSearch,
  problem: IntervalProblem,
  set: readonly number[],
  question: ModeQuestion & { readonly bound: LowerBound },
): FoundInterval {
  const { devices } = search.opened;
  const like = set.map((device) => devices[device]!.interchangeableWith);
  const key = [
    [...like].sort((a, b) => a - b).join(),
    question.peers.length,
    question.look,
    question.share,
    signatureOf(problem),
  ].join('|');
  const known = search.memory.get(key);
  // What was sought in vain below a mark may be there above it.
  if (known && (known.found.length > 0 || known.below >= question.below))
    return renamed(known, problem, set, search);
  const found = { ...findOn(search, problem, question), below: question.below };
  search.memory.set(key, found);
  return found;
}

function findOn(
  { options }: LaneSearch,
  problem: IntervalProblem,
  { peers, bound, below, look, share }: ModeQuestion & { readonly bound: LowerBound },
): FoundInterval {
  const [only, ...others] = problem.costs.devices;
  if (others.length === 0) {
    // In as few micro-batches as fit, because each one costs another launch.
    for (const microbatches of [...divisionsOf(problem)].sort((a, b) => a - b)) {
      const assessment = assessPlacement(problem, placementOn(problem, only!.id, microbatches));
      if (assessment)
        return { found: [{ ...assessment, strategy: contextGearName }], search: 'exact', bound };
    }
    return { found: [], search: 'exact', bound };
  }
  if (look === 'bound')
    return {
      found: promises(problem, below).map((promise) => ({ ...promise, strategy: contextGearName })),
      search: 'bounded',
      bound,
    };
  const { found, search } =
    look === 'peers' || look === 'split'
      ? { found: [], search: look === 'split' ? ('exact' as const) : ('bounded' as const) }
      : searchInterval(problem, { ...options, budget: share * (options.budget ?? limits.budget), below });
  const named = found
    .slice(0, limits.keptPlacements)
    .map((assessment): NamedAssessment => ({ ...assessment, strategy: contextGearName }));
  const { peerCandidates, peerDivisions } = effortFor(problem.costs.devices.length);
  const asked = { ...problem, microbatches: problem.microbatches.slice(-peerDivisions) };
  for (const strategy of peers) {
    if (problem.tasks.length > 1 && !strategy.interleavesTasks) continue;
    const better = tuneStrategy(strategy, asked, {
      incumbent: Math.min(below, named[0]?.value ?? Infinity),
      most: peerCandidates,
    });
    if (better) named.unshift({ ...better, strategy: strategy.name });
  }
  return { found: named, search, bound };
}

/** Equal for questions that differ in names alone. */
export function signatureOf({ costs, tasks, steps, cache }: IntervalProblem): string {
  return JSON.stringify([
    steps,
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

/** An answer found for other tasks, or on interchangeable devices, as one for these. */
function renamed(
  known: FoundInterval,
  { tasks }: IntervalProblem,
  set: readonly number[],
  { opened: { devices, deviceIndex } }: LaneSearch,
): FoundInterval {
  const [first] = known.found;
  if (!first) return known;
  const classOf = (device: number) => devices[device]!.interchangeableWith;
  const left = new Map<number, number[]>();
  for (const device of set) left.set(classOf(device), [...(left.get(classOf(device)) ?? []), device]);
  const names = new Map<string, string>();
  const nameOf = (id: string): string => {
    let name = names.get(id);
    if (name === undefined) names.set(id, (name = devices[left.get(classOf(deviceIndex(id)))!.shift()!]!.id));
    return name;
  };
  // In the order of the devices, so that equal sets get equal names.
  const used = new Set(
    known.found.flatMap(({ devices: uses }) => uses.map(({ device }) => deviceIndex(device))),
  );
  for (const device of [...used].sort((a, b) => a - b)) nameOf(devices[device]!.id);
  return {
    ...known,
    found: known.found.map((assessment) => ({
      ...assessment,
      placement: {
        ...assessment.placement,
        tasks,
        stages: assessment.placement.stages.map((stage) => ({
          ...stage,
          members: stage.members.map((member) => ({ ...member, device: nameOf(member.device) })),
        })),
      },
      peakMemoryBytes: Object.fromEntries(
        Object.entries(assessment.peakMemoryBytes).map(([id, bytes]) => [nameOf(id), bytes]),
      ),
      devices: assessment.devices.map((use) => ({ ...use, device: nameOf(use.device) })),
    })),
  };
}
