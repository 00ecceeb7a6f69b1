/**
 * Which jobs run in which modes and in which order: list scheduling under many priorities, the best lists improved by small changes; for
 * few jobs and modes a branch and bound that covers all.
 */
import { createRandom } from '../simulate/random.js';
import { limits } from '../search/effort.js';
import { valueOf } from '../search/interval-problem.js';
import { branchAndBound } from './branch-and-bound.js';
import type { Assignment, CandidateJob, CandidateJobs, Run, RunSearch } from './run.js';
import { levelsOf } from './jobs.js';
import { listJobs, type ListRule, listSeconds } from './list-jobs.js';
import { onSingleDevices, taskLists } from './list-tasks.js';
import { type PlayedRun, playRun } from './play-run.js';

export interface FoundRun {
  readonly played: PlayedRun;
  /** Whether no list of the candidates is better. */
  readonly exact: boolean;
}

/** Undefined where a task fits nowhere. `start`: a list of jobs, of these candidates or of earlier ones, that may be a good one. */
export function searchRun(search: RunSearch, start: readonly Assignment[] = []): FoundRun | undefined {
  const seen = createJudge(search);
  const again = renewed(search, start);
  if (again.length > 0) seen.judge(again);
  for (const { order } of mostPromising(search, firstLists(search))) seen.judge(order);
  // The most promising lists are climbed from; the best alone may be a dead end.
  for (const { jobs } of seen.best(limits.climbedLists))
    climb(
      search,
      seen,
      jobs.map(({ assignment }) => assignment),
    );
  shakeAndClimb(search, seen);
  const [found] = seen.best(1);
  if (!found) return undefined;
  const { played, complete, least } = branchAndBound(search, found);
  return {
    played,
    exact: complete && played.value <= least * (1 + 1e-12) && candidatesAreExact(search.candidates),
  };
}

/** The list with the choices that the candidates now have on the same devices; empty where one has gone. */
function renewed(search: RunSearch, order: readonly Assignment[]): Assignment[] {
  const choicesOf = choicesByJob(search);
  const list = order.map(({ job, mode: { set } }) =>
    choicesOf.get(job.tasks.join())?.find(({ mode }) => mode.set === set || mode.set.join() === set.join()),
  );
  return list.every((choice) => choice !== undefined) ? list : [];
}

const candidatesAreExact = ({ single, groups }: CandidateJobs): boolean =>
  [...single, ...groups].every(({ choices }) => choices.every(({ mode }) => mode.exact));

/** Lists with what they take at least, the least first. */
function mostPromising(search: RunSearch, lists: Iterable<readonly Assignment[]>) {
  return [...lists]
    .map((order) => ({ order, least: leastValue(search, order) }))
    .sort((a, b) => a.least - b.least);
}

/** Of a list, were nothing fetched and the network everyone's own. */
function leastValue({ run, objective, siblings }: RunSearch, order: readonly Assignment[]): number {
  const joules = order.reduce((sum, { mode }) => sum + mode.joules, 0);
  const seconds = siblings ? listSeconds(run, order) : order.reduce((sum, one) => sum + one.seconds, 0);
  return valueOf(objective, seconds, joules);
}

/** Plays lists and remembers the best of them; a list whose lower bound is no better than the mark is not played. */
function createJudge(search: RunSearch) {
  const { run, objective, siblings, share } = search;
  const kept: PlayedRun[] = [];
  let left = limits.judgedLists * share;
  /** The list's value where it is below the mark. */
  const improves = (order: readonly Assignment[], mark: number): number | undefined => {
    left -= 1;
    if (leastValue(search, order) >= mark * (1 - 1e-12)) return undefined;
    left -= limits.listsPerPlay;
    const played = playRun(run, order, objective, siblings, objective === 'time' ? mark : Infinity);
    if (!played || played.value >= mark * (1 - 1e-12)) return undefined;
    if (played.value < (kept[limits.climbedLists - 1]?.value ?? Infinity)) {
      kept.push(played);
      kept.sort((a, b) => a.value - b.value);
      kept.splice(limits.climbedLists);
    }
    return played.value;
  };
  const judge = (order: readonly Assignment[]) =>
    improves(order, kept[limits.climbedLists - 1]?.value ?? Infinity);
  return { judge, improves, best: (count: number) => kept.slice(0, count), spent: () => left <= 0 };
}

/** Lists by several rules and perturbed priorities. */
function* firstLists({ run, candidates, objective }: RunSearch): Generator<readonly Assignment[]> {
  const random = createRandom(limits.listSeed);
  const deviceCount = run.costs.devices.length;
  const single = candidates.single;
  /** Each in the mode of least value, whatever it keeps others from: all devices, as a rule. */
  const quickest: ListRule = { weigh: () => 1, lengths: 'fastest', cost: (_, { mode }) => mode.value };
  const grouped = groupings(run, candidates);
  for (const jobs of [single, ...grouped]) {
    const order = listJobs(run, jobs, quickest);
    if (order) yield order;
  }
  yield* taskLists(run, onSingleDevices(single));
  for (let trial = 0; trial < limits.listTrials; trial++) {
    const shake = trial < 8 ? 0 : 0.5;
    // What it costs to keep devices from others, between nothing and their whole time.
    const patience = trial % 4 === 0 ? 0 : random() ** 2;
    const rule: ListRule = {
      weigh: () => 1 + shake * (2 * random() - 1),
      lengths: trial % 2 === 0 ? 'fastest' : 'mean',
      cost: (end, { seconds, mode }) =>
        valueOf(objective, end + (patience * seconds * mode.devices.length) / deviceCount, mode.joules) *
        (1 + (shake / 5) * (2 * random() - 1)),
    };
    for (const jobs of trial % 3 === 2 && grouped.length > 0
      ? [grouped[trial % grouped.length]!]
      : [single]) {
      const order = listJobs(run, jobs, rule);
      if (order) yield order;
    }
  }
}

/** The tasks divided into jobs with groups among them: every whole level at once, and each group alone. */
function groupings({ graph }: Run, { single, groups }: CandidateJobs): CandidateJob[][] {
  const withGroups = (chosen: readonly CandidateJob[]) => {
    const inGroup = new Set(chosen.flatMap(({ job }) => job.tasks));
    return [...chosen, ...single.filter(({ job }) => !inGroup.has(job.tasks[0]!))];
  };
  const levels = levelsOf(graph).flatMap((level) => {
    const group = groups.find(({ job }) => job.tasks.join() === level.join());
    return group ? [group] : [];
  });
  return [...(levels.length > 0 ? [withGroups(levels)] : []), ...groups.map((group) => withGroups([group]))];
}

/** Changes one thing at a time while that helps: a job's mode, its place in the list, siblings joined and parted. */
function climb(
  search: RunSearch,
  { improves, spent }: ReturnType<typeof createJudge>,
  start: readonly Assignment[],
): void {
  const choices = choicesByJob(search);
  let order = start;
  let value = playRun(search.run, start, search.objective, search.siblings)?.value;
  if (value === undefined) return;
  for (let improved = true; improved && !spent();) {
    improved = false;
    for (const next of neighbours(search, order, choices)) {
      if (spent()) return;
      const better = improves(next, value);
      if (better !== undefined) {
        order = next;
        value = better;
        improved = true;
        break;
      }
    }
  }
}

/** Changes a few things of the best list at random and climbs again, as long as lists may be looked at. */
function shakeAndClimb(search: RunSearch, seen: ReturnType<typeof createJudge>): void {
  const random = createRandom(limits.listSeed + 1);
  const choices = choicesByJob(search);
  for (let kicks = 0; kicks < limits.kicks && !seen.spent(); kicks++) {
    const [best] = seen.best(1);
    if (!best) return;
    let order: readonly Assignment[] = best.jobs.map(({ assignment }) => assignment);
    for (let change = 0; change < limits.changesPerKick; change++) {
      const all = [...neighbours(search, order, choices)];
      if (all.length === 0) return;
      order = all[Math.floor(random() * all.length)]!;
    }
    climb(search, seen, order);
  }
}

const choicesByJob = ({ candidates: { single, groups } }: RunSearch) =>
  new Map([...single, ...groups].map((candidate) => [candidate.job.tasks.join(), candidate.choices]));

function* neighbours(
  { run: { graph }, candidates }: RunSearch,
  order: readonly Assignment[],
  choicesOf: ReadonlyMap<string, readonly Assignment[]>,
): Generator<readonly Assignment[]> {
  for (const [at, { job, mode }] of order.entries())
    for (const choice of choicesOf.get(job.tasks.join())!)
      if (choice.mode !== mode) yield order.with(at, choice);
  const isAllowed = (list: readonly Assignment[]): boolean => {
    const placed = new Set<number>();
    for (const { job } of list) {
      if (job.tasks.some((task) => graph.parents[task]!.some((parent) => !placed.has(parent)))) return false;
      for (const task of job.tasks) placed.add(task);
    }
    return true;
  };
  const positionOf = new Map(order.flatMap(({ job }, at) => job.tasks.map((task) => [task, at] as const)));
  const places = (of: (task: number) => readonly number[], { job }: Assignment) =>
    job.tasks.flatMap((task) => of(task).map((other) => positionOf.get(other)!));
  for (const [at, moved] of order.entries()) {
    const others = order.toSpliced(at, 1);
    const first = Math.max(-1, ...places((task) => graph.parents[task]!, moved)) + 1;
    const last = Math.min(order.length, ...places((task) => graph.children[task]!, moved)) - 1;
    for (let to = first; to <= last; to++) {
      if (to === at) continue;
      yield others.toSpliced(to, 0, moved);
      if (order.length > limits.movedAndChanged) continue;
      for (const choice of choicesOf.get(moved.job.tasks.join())!)
        if (choice.mode !== moved.mode) yield others.toSpliced(to, 0, choice);
    }
  }
  for (const { job, choices } of candidates.groups) {
    const parts = order.filter((one) => one.job.tasks.some((task) => job.tasks.includes(task)));
    if (parts.some((one) => one.job.tasks.some((task) => !job.tasks.includes(task)))) continue;
    const others = order.filter((one) => !parts.includes(one));
    if (parts.length === 1) {
      const at = order.indexOf(parts[0]!);
      const apart = job.tasks.map((task) => candidates.single[task]!.choices);
      if (apart.every((found) => found.length > 0))
        yield others.toSpliced(
          at,
          0,
          ...apart.map((found) => found.reduce((a, b) => (b.seconds < a.seconds ? b : a))),
        );
      continue;
    }
    for (let to = 0; to <= others.length; to++)
      for (const choice of choices) {
        const list = others.toSpliced(to, 0, choice);
        if (isAllowed(list)) yield list;
      }
  }
}
