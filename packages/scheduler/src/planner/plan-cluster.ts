/** Plans a cluster whose devices all run as their profiles say. */
import type { Cluster } from '../problem/cluster.js';
import type { Workload } from '../problem/workload.js';
import { buildSchedule } from '../schedule/build-schedule.js';
import type { Member } from '../schedule/placement.js';
import { validateSchedule } from '../schedule/validate/validate-schedule.js';
import { joulesByDevice } from '../search/assess-placement.js';
import { problemsError } from '../scheduler-error.js';
import { limits } from '../search/effort.js';
import { candidateJobs } from './candidate-jobs.js';
import { explainPlan } from './explain.js';
import { requireFound } from './feasibility.js';
import type { Run, RunSearch } from './run.js';
import { hasSiblings } from './jobs.js';
import type { ModeInterval } from './modes.js';
import type { LaneSearch } from './found-intervals.js';
import { openRun } from './open-run.js';
import { planBoundSeconds } from './plan-bound.js';
import type { PlanOptions } from './plan-options.js';
import {
  intervalsOfPlan,
  type Plan,
  type PlannedInterval,
  type PlannedJob,
  type PlannedTransfer,
} from './planned.js';
import type { PlayedJob } from './play-run.js';
import { refineRun } from './refine-run.js';
import { type FoundRun, searchRun } from './search-run.js';
import type { Transfer } from './transfers.js';

/** @throws SchedulerError that says by how many bytes the model does not fit and what would help. */
export function planCluster(workloads: readonly Workload[], cluster: Cluster, options: PlanOptions): Plan {
  const { objective = 'time', siblings = true, window = 2, memoryReserve = 0 } = options;
  const { run, lanes } = openRun(workloads, cluster, options);
  const candidates = candidateJobs(run, lanes, siblings);
  requireFound(candidates, workloads, run, lanes);
  const asked: RunSearch = { run, candidates, objective, siblings, share: 1 };
  const { search, found } =
    lanes.look === 'search' ? { search: asked, found: searchRun(asked) } : refineRun(asked, lanes);
  if (!found)
    throw problemsError('SCHEDULER_NOTHING_FITS', 'plan', [
      {
        path: cluster.keeper === undefined ? 'resident' : 'links',
        message:
          'every task fits, but what it needs cannot be fetched or collected: ' +
          (cluster.keeper === undefined
            ? 'no device gives the base to those that do not hold it, or no link leads from a task to one that builds on it; name a "keeper", or add links'
            : `no link joins the keeper "${cluster.keeper}" and the devices that train; add one, or name another keeper`),
      },
    ]);
  return planOf(search, found, { lanes, window, memoryReserve });
}

function planOf(
  search: RunSearch,
  { played, exact }: FoundRun,
  { lanes, window, memoryReserve }: { lanes: LaneSearch; window: number; memoryReserve: number },
): Plan {
  const { run } = search;
  const { workloads } = run.graph;
  const seen = new Set<string>();
  for (const { assignment } of played.jobs)
    for (const [index, interval] of assignment.mode.intervals.entries()) {
      const { placement, policy } = interval.assessment;
      const key = JSON.stringify([assignment.job.kind, index, { ...placement, tasks: [] }, policy.name]);
      if (!seen.has(key)) requireValid(interval, window);
      seen.add(key);
    }
  const jobs = played.jobs
    .map((job) => plannedJob(job, run))
    .sort((a, b) => a.startSeconds - b.startSeconds || a.endSeconds - b.endSeconds);
  const intervals = intervalsOfPlan({ jobs });
  const joules = intervals.flatMap(({ totalJoules }) => (totalJoules === undefined ? [] : [totalJoules]));
  const wholeLayers = intervals.every(({ placement }) =>
    placement.stages.every(({ members }) => members.every(isWhole)),
  );
  const lowerBoundSeconds = planBoundSeconds({
    workloads,
    opened: lanes.opened,
    cache: lanes.cache,
    wholeLayers,
    window,
  });
  const { totalSeconds } = played;
  return {
    jobs,
    totalSeconds,
    ...(joules.length === 0 ? {} : { totalJoules: joules.reduce((a, b) => a + b, 0) }),
    totalBytes: jobs.reduce(
      (sum, { fetches, collects }) => [...fetches, ...collects].reduce((all, { bytes }) => all + bytes, sum),
      intervals.reduce((sum, interval) => sum + interval.bytesPerStep * interval.steps, 0),
    ),
    lowerBoundSeconds,
    gap: lowerBoundSeconds > 0 ? totalSeconds / lowerBoundSeconds - 1 : 0,
    search: (exact && coversAll(lanes, run.graph)) || totalSeconds <= lowerBoundSeconds ? 'exact' : 'bounded',
    window,
    memoryReserve,
    explanation: explainPlan(search, played),
  };
}

/**
 * Whether every set of devices was a candidate, and every question answered exactly, the answers left out too. Siblings in one pipeline have
 * their prefixes cached all or none, so where two might be, not everything is covered.
 */
const coversAll = ({ opened, memory, cache }: LaneSearch, graph: Run['graph']): boolean =>
  opened.devices.length <= limits.allDeviceSets &&
  graph.workloads.length <= limits.allGroups &&
  (opened.devices.length === 1 ||
    !hasSiblings(graph) ||
    !cache ||
    graph.workloads.filter(({ epochs = 1 }) => epochs > 1).length < 2) &&
  [...memory.values()].every(({ search }) => search === 'exact');

function plannedJob(
  { assignment: { job, mode }, startSeconds, endSeconds, transfers, answers, intervals, collects }: PlayedJob,
  { costs }: Run,
): PlannedJob {
  const idOf = (device: number) => costs.devices[device]!.id;
  const planned = (type: PlannedTransfer['type'], timed: PlayedJob['transfers']): PlannedTransfer[] =>
    timed.map(
      ({
        what: { from, to, ...what },
        ...times
      }: {
        what: Transfer;
        startSeconds: number;
        endSeconds: number;
      }) => ({
        type,
        ...what,
        from: idOf(from),
        to: idOf(to),
        ...times,
      }),
    );
  const inOrder = new Set(
    mode.intervals.flatMap(({ assessment: { placement } }) =>
      placement.stages.flatMap(({ members }) => members.map(({ device }) => device)),
    ),
  );
  return {
    tasks: job.tasks.map((task) => costs.tasks[task]!.name),
    devices: [...inOrder],
    startSeconds,
    endSeconds,
    fetches: planned('fetch', transfers),
    answers: answers.map(({ what: { task, reason, samples }, ...times }) => ({
      type: 'answer',
      task,
      reason,
      devices: [...inOrder],
      samples,
      ...times,
    })),
    intervals: intervals.map(({ what, ...times }) => ({
      ...plannedInterval(mode.intervals[what]!),
      ...times,
    })),
    collects: planned('collect', collects),
  };
}

function plannedInterval({
  problem,
  assessment,
  search,
  bound,
}: ModeInterval): Omit<PlannedInterval, 'startSeconds' | 'endSeconds'> {
  const { tasks, steps, cache } = problem;
  const { devices, simulatedSteps, totalSeconds, totalJoules } = assessment;
  return {
    tasks,
    steps,
    cache,
    placement: assessment.placement,
    policy: assessment.policy.name,
    strategy: assessment.strategy,
    stepSeconds: assessment.stepSeconds,
    totalSeconds,
    ...(totalJoules === undefined ? {} : { totalJoules }),
    bytesPerStep: assessment.bytesPerStep,
    joulesByDevice: Object.fromEntries(joulesByDevice(problem, devices, simulatedSteps, totalSeconds)),
    peakMemoryBytes: assessment.peakMemoryBytes,
    search,
    lowerBoundSeconds: bound.stepSeconds * steps,
  };
}

/** Checks the finished schedule; a problem here is a bug of a policy, a pass or the search. */
function requireValid({ problem, assessment }: ModeInterval, window: number): void {
  const { policy, placement, passes } = assessment;
  const schedule = buildSchedule(problem.costs, [placement], {
    policy,
    passes,
    window,
    steps: Math.min(2, problem.steps),
    cache: problem.cache,
  });
  const problems = validateSchedule(problem.costs, schedule);
  if (problems.length > 0)
    throw new Error(
      `internal: scheduler/plan: ${assessment.strategy} made a schedule in which ${problems.join('; ')}`,
    );
}

const isWhole = ({ work = 1, parameters = 1 }: Member): boolean => work === 1 && parameters === 1;
