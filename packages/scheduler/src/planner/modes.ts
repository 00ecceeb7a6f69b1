/**
 * The modes of a job: for each set of devices the placements of its intervals such that all intervals and all transfers between them cost
 * least. A set that is no better than one of its own subsets makes no mode.
 */
import { type ClusterCosts, openCluster } from '../cost/cluster-costs.js';
import type { Routes } from '../cost/routes.js';
import type { Strategy } from '../peers/strategy.js';
import type { Workload } from '../problem/workload.js';
import { assessPlacement } from '../search/assess-placement.js';
import { keyOf } from '../search/bounded-search.js';
import { limits } from '../search/effort.js';
import { type IntervalProblem, valueOf } from '../search/interval-problem.js';
import { type LowerBound, lowerBound } from '../search/lower-bound.js';
import { firstCutOf } from '../search/search-interval.js';
import { intervalsOf } from './intervals.js';
import { type Transfer, transfersBetween, transferSeconds } from './transfers.js';

import {
  type FoundInterval,
  type LaneSearch,
  type Look,
  type ModeQuestion,
  type NamedAssessment,
  searchOn,
} from './found-intervals.js';
export interface ModeInterval {
  readonly problem: IntervalProblem;
  readonly assessment: NamedAssessment;
  readonly search: 'exact' | 'bounded';
  readonly bound: LowerBound;
  /** What must move before it begins; nothing before the first. */
  readonly transfers: readonly Transfer[];
  /** Share of each medium's air that it takes, by the whole cluster's media. */
  readonly airShares: readonly number[];
  /** What it takes longer, in parts of its time, where others keep the air busy as long as it does not. */
  readonly airDelay: () => number;
  /** Placements that lost on these devices, best first. */
  readonly rejected: readonly NamedAssessment[];
}

/** One way to run a job. */
export interface Mode {
  /** Indices, ascending, of all devices that an interval uses. */
  readonly devices: readonly number[];
  /** The set in which they were found. */
  readonly set: readonly number[];
  readonly intervals: readonly ModeInterval[];
  /** Of all intervals and the transfers between them, with the network to itself. */
  readonly seconds: number;
  readonly joules: number;
  readonly value: number;
  /** How closely it was looked at. */
  readonly look: Look;
  /** Whether no placement on these devices is better, whatever the transfers. */
  readonly exact: boolean;
}

/** Fewest devices first. `orders`: the same workloads in the orders in which one pipeline may take them. */
export function modesOf(
  search: LaneSearch,
  orders: readonly (readonly Workload[])[],
  sets: readonly (readonly number[])[],
): Mode[] {
  const modes: Mode[] = [];
  for (const set of sets) {
    const inside = new Set(set);
    const below = Math.min(
      ...modes
        .filter(({ devices }) => devices.every((device) => inside.has(device)))
        .map(({ value }) => value),
      Infinity,
    );
    const whole = set.length === search.opened.devices.length;
    let best: Mode | undefined;
    for (const workloads of orders)
      best =
        modeOn(search, workloads, set, {
          below: best?.value ?? below,
          peers: peersOn(search, set),
          look: search.look,
          share: whole ? 1 : limits.subsetBudget,
        }) ?? best;
    if (best) modes.push(best);
  }
  return modes;
}

/** Who is asked besides the search: everyone for the whole cluster, for a small part of it those whose placements the search has not. */
export function peersOn({ opened, peers }: LaneSearch, { length }: readonly number[]): readonly Strategy[] {
  if (length === opened.devices.length) return peers;
  return length <= limits.splitOnSet ? peers.filter(({ splitsLayers }) => splitsLayers) : [];
}

/** The best mode on a set of devices; undefined where nothing is found below the mark. */
export function modeOn(
  search: LaneSearch,
  workloads: readonly Workload[],
  set: readonly number[],
  question: ModeQuestion,
): Mode | undefined {
  const cluster = clusterOf(search, set);
  // Whether a cache pays depends on the transfers between the intervals.
  const caching = search.cache && workloads.some(({ epochs = 1 }) => epochs > 1) ? [true, false] : [false];
  let best: Mode | undefined;
  for (const useCache of caching) {
    const problems = intervalsOf(workloads, cluster, search.settings, useCache);
    const bounds = problems.map((problem) => lowerBound(problem));
    const least = bounds.reduce((sum, { value }) => sum + value, 0);
    const mark = Math.min(question.below, best?.value ?? Infinity);
    // What the bound does not hold for is still asked.
    const peers = least < mark ? question.peers : question.peers.filter(({ splitsLayers }) => splitsLayers);
    if (least >= mark && peers.length === 0) continue;
    const answers = problems.map((problem, index) =>
      searchOn(search, problem, set, {
        ...question,
        peers,
        // Where an interval is a small part of the job, little is lost by a poor answer.
        share: (question.share * Math.max(bounds[index]!.value, limits.leastPart * least)) / least,
        look: least < mark ? question.look : 'split',
        bound: bounds[index]!,
        below: mark - (least - bounds[index]!.value),
      }),
    );
    const mode = chain(search, problems, answers, { set, look: question.look });
    if (mode && mode.value < mark) best = mode;
  }
  return best;
}

/** The devices of a set by themselves. */
function clusterOf({ opened, clusters }: LaneSearch, set: readonly number[]): ClusterCosts {
  if (set.length === opened.devices.length) return opened;
  const known = clusters.get(set.join());
  if (known) return known;
  const { devices, links } = opened.cluster;
  const ids = new Set(['*', ...set.map((device) => devices[device]!.id)]);
  const alone = openCluster({
    devices: set.map((device) => devices[device]!),
    links: set.length === 1 ? [] : links.filter(({ from, to }) => ids.has(from) && ids.has(to)),
  });
  clusters.set(set.join(), alone);
  return alone;
}

/** The placements such that intervals and transfers cost least, over all combinations (Viterbi); undefined where an interval has none. */
export function chain(
  { opened, settings: { objective }, holders }: Pick<LaneSearch, 'opened' | 'settings' | 'holders'>,
  problems: readonly IntervalProblem[],
  answers: readonly FoundInterval[],
  { set, look }: Pick<Mode, 'set' | 'look'>,
): Mode | undefined {
  const choices = answers.map(({ found }, index) => widened(problems, answers, index, found));
  if (choices.some((found) => found.length === 0)) return undefined;
  const transfersInto = (index: number, from: NamedAssessment, to: NamedAssessment) =>
    transfersBetween(problems[index - 1]!, from.placement, problems[index]!, to.placement, holders);
  interface Path {
    readonly value: number;
    readonly taken: readonly number[];
  }
  let paths: Path[] = choices[0]!.map(({ value }, at) => ({ value, taken: [at] }));
  for (let index = 1; index < problems.length; index++)
    paths = choices[index]!.map((to, at) => {
      let best: Path = { value: Infinity, taken: [] };
      for (const [before, path] of paths.entries()) {
        const moved = transfersInto(index, choices[index - 1]![before]!, to);
        if (!moved) continue;
        const value = path.value + valueOf(objective, transferSeconds(holders.routes, moved), 0) + to.value;
        if (value < best.value) best = { value, taken: [...path.taken, at] };
      }
      return best;
    });
  const best = paths.reduce((a, b) => (b.value < a.value ? b : a));
  if (best.value === Infinity) return undefined;
  const intervals = problems.map((problem, index): ModeInterval => {
    const assessment = choices[index]![best.taken[index]!]!;
    const before = index > 0 ? choices[index - 1]![best.taken[index - 1]!]! : undefined;
    const shares = opened.routes.media.map((name) => {
      const medium = problem.costs.routes.media.indexOf(name);
      return medium < 0 ? 0 : assessment.airSeconds[medium]! / assessment.stepSeconds;
    });
    return {
      problem,
      assessment,
      search: answers[index]!.search,
      bound: answers[index]!.bound,
      transfers: before ? transfersInto(index, before, assessment)! : [],
      airShares: shares.map((share) => Math.min(1, share)),
      airDelay: onceOnly(() => (assessment.simulatedSteps === 0 ? 0 : airDelayOf(problem, assessment))),
      rejected: choices[index]!.filter((other) => other !== assessment),
    };
  });
  const sum = (of: (interval: ModeInterval) => number) => intervals.reduce((all, one) => all + of(one), 0);
  return {
    devices: [
      ...new Set(
        intervals.flatMap(({ assessment: { placement } }) =>
          placement.stages.flatMap(({ members }) => members.map(({ device }) => opened.deviceIndex(device))),
        ),
      ),
    ].sort((a, b) => a - b),
    set,
    intervals,
    seconds: sum(
      ({ assessment, transfers }) => assessment.totalSeconds + transferSeconds(holders.routes, transfers),
    ),
    joules: sum(({ assessment }) => assessment.totalJoules ?? 0),
    value: best.value,
    look,
    exact:
      answers.every(({ search }) => search === 'exact') &&
      intervals.every(
        ({ assessment }, index) => assessment.value <= (answers[index]!.found[0]?.value ?? Infinity),
      ),
  };
}

/** Asked only where jobs do share the air. */
function onceOnly(find: () => number): () => number {
  let found: number | undefined;
  return () => (found ??= find());
}

/** By the simulator: how much longer the interval takes on air of half the rate. */
function airDelayOf(
  problem: IntervalProblem,
  { placement, policy, passes, totalSeconds }: NamedAssessment,
): number {
  const { routes } = problem.costs;
  const slowed: Routes = {
    ...routes,
    route: (from, to) => {
      const route = routes.route(from, to);
      return route && route.medium >= 0 ? { ...route, bytesPerSecond: route.bytesPerSecond / 2 } : route;
    },
  };
  const slower = { ...problem, policies: [policy], costs: { ...problem.costs, routes: slowed } };
  const found = assessPlacement(slower, placement, passes);
  return found ? Math.max(0, found.totalSeconds / totalSeconds - 1) : 1;
}

/** An interval's placements, and its neighbours': keeping the cut is always among the choices. */
function widened(
  problems: readonly IntervalProblem[],
  answers: readonly FoundInterval[],
  index: number,
  found: readonly NamedAssessment[],
): NamedAssessment[] {
  if (found.some(({ simulatedSteps }) => simulatedSteps === 0)) return [...found];
  const problem = problems[index]!;
  const known = new Set(found.map(({ placement }) => keyOf(placement)));
  const firstCut = firstCutOf(problem);
  const added: NamedAssessment[] = [];
  for (const near of [index - 1, index + 1])
    for (const { placement, passes, strategy } of answers[near]?.found.slice(0, limits.sharedPlacements) ??
      []) {
      const key = keyOf(placement);
      if (known.has(key) || (placement.stages[1]?.start ?? firstCut) < firstCut) continue;
      known.add(key);
      const assessment = assessPlacement(problem, { ...placement, tasks: problem.tasks }, passes);
      if (assessment) added.push({ ...assessment, strategy });
    }
  return [...found, ...added].sort((a, b) => a.value - b.value);
}
