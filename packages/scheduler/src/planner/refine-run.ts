/**
 * The best run where there are too many sets of devices to search on all of them. The best run of what the sets promise is found, and what it
 * relies on is looked at more closely, for all tasks of equal cost at once; so on, until it relies on nothing that was not simulated. Then its
 * modes get the rest of the budget.
 */
import { deviceWork } from '../search/device-work.js';
import { limits } from '../search/effort.js';
import { assignmentOf } from './candidate-jobs.js';
import type { LaneSearch, ModeQuestion } from './found-intervals.js';
import { intervalsOf } from './intervals.js';
import { type Job, levelsOf } from './jobs.js';
import { type Mode, modeOn, peersOn } from './modes.js';
import type { Assignment, CandidateJob, RunSearch } from './run.js';
import { type FoundRun, searchRun } from './search-run.js';

export interface RefinedRun {
  /** With candidates that were simulated. */
  readonly search: RunSearch;
  readonly found: FoundRun | undefined;
}

export function refineRun(search: RunSearch, lanes: LaneSearch): RefinedRun {
  let now: RunSearch = { ...search, share: limits.promisedShare };
  let order = orderOf(searchRun(now));
  const asked = { below: Infinity, peers: [], look: 'search', share: limits.promiseBudget } as const;
  for (let round = 0; ; round++) {
    const relied = order.filter(({ mode }) => mode.look === 'bound');
    if (relied.length === 0) break;
    now = lookedAt(now, lanes, relied, (choice) => modeOf(lanes, now, choice, asked));
    // The last round takes what there is.
    if (round >= limits.refinements) now = simulated(now);
    order = orderOf(searchRun(now, order));
  }
  now = simulated(deepened(now, lanes, order));
  const found = searchRun({ ...now, share: 1 }, order);
  const others = found && withPeers(now, lanes, found);
  return others
    ? { search: others, found: searchRun({ ...others, share: 1 }, orderOf(found)) }
    : { search: now, found };
}

const orderOf = (found: FoundRun | undefined): readonly Assignment[] =>
  found?.played.jobs.map(({ assignment }) => assignment) ?? [];

const modeOf = (
  lanes: LaneSearch,
  { run }: RunSearch,
  { job, mode }: Assignment,
  question: ModeQuestion,
): Mode | undefined => modeOn(lanes, workloadsOf(run.graph, job), mode.set, question);

const workloadsOf = ({ workloads }: RunSearch['run']['graph'], { tasks }: Job) =>
  tasks.map((task) => workloads[task]!);

/** The candidates with other modes for these choices, and for all like them: of a job of equal cost on interchangeable devices. */
function lookedAt(
  search: RunSearch,
  { opened: { devices } }: LaneSearch,
  choices: readonly Assignment[],
  look: (choice: Assignment) => Mode | undefined,
): RunSearch {
  const keyOf = ({ job, mode }: Assignment) =>
    `${job.kind}|${mode.set
      .map((device) => devices[device]!.interchangeableWith)
      .sort((a, b) => a - b)
      .join()}`;
  const wanted = new Set(choices.map(keyOf));
  return withChoices(search, (candidate) =>
    candidate.choices.flatMap((choice) => {
      if (!wanted.has(keyOf(choice))) return [choice];
      const mode = look(choice);
      if (mode === choice.mode) return [choice];
      return mode ? [assignmentOf(search.run, choice.job, mode)] : [];
    }),
  );
}

function withChoices(
  search: RunSearch,
  choicesOf: (candidate: CandidateJob) => readonly Assignment[],
): RunSearch {
  const changed = (candidates: readonly CandidateJob[]) =>
    candidates.map((candidate) => ({ ...candidate, choices: choicesOf(candidate) }));
  const { single, groups } = search.candidates;
  return {
    ...search,
    candidates: {
      single: changed(single),
      groups: changed(groups).filter(({ choices }) => choices.length > 0),
    },
  };
}

/** Without promises. */
const simulated = (search: RunSearch): RunSearch =>
  withChoices(search, ({ choices }) => choices.filter(({ mode }) => mode.look === 'search'));

/** The modes of a run searched again with all of the budget. */
function deepened(search: RunSearch, lanes: LaneSearch, order: readonly Assignment[]): RunSearch {
  const different = new Set(order.map(({ job, mode }) => `${job.kind}|${mode.set.join()}`)).size;
  const share = Math.max(limits.promiseBudget, 1 / different);
  return lookedAt(search, lanes, order, (choice) => {
    const { set, value } = choice.mode;
    const peers = peersOn(lanes, set);
    const mode = modeOf(lanes, search, choice, { below: value, peers, look: 'search', share });
    return mode && mode.value < value ? mode : choice.mode;
  });
}

/**
 * With the peers' placements on all devices, where they may shorten the run: a peer trains one job after the other, each of which takes at
 * least its work over all speeds. Undefined where that cannot be.
 */
function withPeers(search: RunSearch, lanes: LaneSearch, { played }: FoundRun): RunSearch | undefined {
  const { run, objective } = search;
  const { opened, settings, peers } = lanes;
  if (peers.length === 0) return undefined;
  const all = [...opened.devices.keys()];
  const least = run.graph.workloads.map((workload) =>
    Math.min(
      ...[true, false].map((cache) =>
        intervalsOf([workload], opened, settings, cache).reduce((sum, problem) => {
          const { seconds, speeds } = deviceWork(problem).all;
          return sum + (problem.steps * seconds.at(-1)!) / speeds.reduce((a, b) => a + b, 0);
        }, 0),
      ),
    ),
  );
  const total = least.reduce((a, b) => a + b, 0);
  const ask = (tasks: readonly number[]): Mode | undefined => {
    const others = total - tasks.reduce((sum, task) => sum + least[task]!, 0);
    const below = objective === 'time' ? played.totalSeconds - others : Infinity;
    return modeOn(
      lanes,
      tasks.map((task) => run.graph.workloads[task]!),
      all,
      { below, peers, look: 'peers', share: 0 },
    );
  };
  const found = new Map<string, Mode>();
  // Where none is quick enough on one level, none is for all.
  for (const level of levelsOf(run.graph)) {
    const jobs = [...level.map((task) => [task]), ...(level.length > 1 ? [level] : [])];
    const modes = jobs.map((tasks) => ask(tasks));
    if (modes.slice(0, level.length).includes(undefined) && (level.length < 2 || !modes.at(-1)))
      return undefined;
    for (const [index, mode] of modes.entries()) if (mode) found.set(jobs[index]!.join(), mode);
  }
  return withChoices(search, ({ job, choices }) => {
    const mode = found.get(job.tasks.join());
    return mode ? [...choices, assignmentOf(run, job, mode)] : choices;
  });
}
