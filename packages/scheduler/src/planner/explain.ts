/** Why a plan is as it is: its critical path, what binds each interval, why a device is not used, what else was considered. */
import { layerStates } from '../cost/memory.js';
import type { Placement } from '../schedule/placement.js';
import { limits } from '../search/effort.js';
import { type PeriodBound, periodBound } from '../search/period-bound.js';
import type { IdleCause } from '../simulate/timeline.js';
import type { Assignment, RunSearch } from './run.js';
import type { ModeInterval } from './modes.js';
import { type PlayedRun, playRun } from './play-run.js';

export interface DeviceExplanation {
  readonly device: string;
  readonly idleFraction: number;
  /** Where most of the idle time comes from; absent when there is none. */
  readonly mainCause?: IdleCause;
}

export interface UnusedDevice {
  readonly device: string;
  readonly reason:
    | 'memory' // it cannot hold even the lightest layer
    | 'unreachable' // no link leads to the devices that are used
    | 'slower'; // the best plan found with it takes longer
  /** What the plan would cost with it, against the chosen plan's 1. */
  readonly ratio?: number;
}

export interface IntervalExplanation {
  readonly tasks: readonly string[];
  /** What bounds every schedule of this placement, and how close this schedule comes to it (1 when it is reached). */
  readonly binding: PeriodBound['binding'] & { readonly reached: number };
  readonly devices: readonly DeviceExplanation[];
  /** Best rejected placements on the same devices, and what they would cost against the chosen one's 1. */
  readonly rejected: readonly { readonly placement: Placement; readonly ratio: number }[];
}

export interface JobExplanation {
  readonly tasks: readonly string[];
  /** The job it last waited for, because it needs what that trains or the same devices; absent for one that starts at once. */
  readonly after?: readonly string[];
  /** Other devices for this job, and what the whole plan would cost then against 1; best first. */
  readonly rejected: readonly { readonly devices: readonly string[]; readonly ratio: number }[];
}

export interface Explanation {
  /** Names of the tasks of the jobs that end one after the other with the run, the first first; a group's are joined by "+". */
  readonly criticalPath: readonly string[];
  /** In the order of the plan's jobs. */
  readonly jobs: readonly JobExplanation[];
  /** In the order of the plan's intervals, job by job. */
  readonly intervals: readonly IntervalExplanation[];
  readonly unused: readonly UnusedDevice[];
}

export function explainPlan(search: RunSearch, played: PlayedRun): Explanation {
  const { costs } = search.run;
  const namesOf = ({ job }: Assignment) => job.tasks.map((task) => costs.tasks[task]!.name);
  const inOrder = [...played.jobs.keys()].sort((a, b) => {
    const [x, y] = [played.jobs[a]!, played.jobs[b]!];
    return x.startSeconds - y.startSeconds || x.endSeconds - y.endSeconds;
  });
  const others = new Map(inOrder.map((position) => [position, otherModes(search, played, position)]));
  let at: number | undefined = [...played.jobs.keys()].reduce((a, b) =>
    lastEnd(played.jobs[b]!) > lastEnd(played.jobs[a]!) ? b : a,
  );
  const criticalPath: string[] = [];
  for (; at !== undefined; at = played.jobs[at]!.after)
    criticalPath.unshift(namesOf(played.jobs[at]!.assignment).join('+'));
  return {
    criticalPath,
    jobs: inOrder.map((position): JobExplanation => {
      const { assignment, after } = played.jobs[position]!;
      return {
        tasks: namesOf(assignment),
        ...(after === undefined ? {} : { after: namesOf(played.jobs[after]!.assignment) }),
        rejected: others
          .get(position)!
          .slice(0, limits.rejected)
          .map(({ devices, ratio }) => ({
            devices: devices.map((device) => costs.devices[device]!.id),
            ratio,
          })),
      };
    }),
    intervals: inOrder.flatMap((position) =>
      played.jobs[position]!.assignment.mode.intervals.map(explainInterval),
    ),
    unused: unusedOf(search, played, [...others.values()].flat()),
  };
}

const lastEnd = ({ endSeconds, collects }: PlayedRun['jobs'][number]): number =>
  Math.max(endSeconds, ...collects.map((collect) => collect.endSeconds));

interface OtherMode {
  readonly devices: readonly number[];
  readonly ratio: number;
}

/** The plan with one job on other devices, the most promising of them played; best first. */
function otherModes(
  { run, candidates, objective, siblings }: RunSearch,
  { jobs, value }: PlayedRun,
  position: number,
): OtherMode[] {
  const order = jobs.map(({ assignment }) => assignment);
  const { job, mode } = order[position]!;
  const { choices } = [...candidates.single, ...candidates.groups].find(
    (candidate) => candidate.job.tasks.join() === job.tasks.join(),
  )!;
  return choices
    .filter((choice) => choice.mode !== mode)
    .sort((a, b) => a.seconds - b.seconds)
    .slice(0, limits.askedModes)
    .flatMap((choice): OtherMode[] => {
      const played = playRun(run, order.with(position, choice), objective, siblings);
      return played ? [{ devices: choice.mode.devices, ratio: played.value / value }] : [];
    })
    .sort((a, b) => a.ratio - b.ratio);
}

function explainInterval({ problem, assessment, rejected }: ModeInterval): IntervalExplanation {
  const { placement, stepSeconds, value, devices } = assessment;
  const bound = periodBound(problem, placement);
  return {
    tasks: problem.tasks,
    binding: { ...bound.binding, reached: bound.seconds / stepSeconds },
    devices: devices.map(({ device, idleFraction, idleSeconds }) => {
      const [cause, seconds] = Object.entries(idleSeconds).reduce((a, b) => (b[1] > a[1] ? b : a));
      return { device, idleFraction, ...(seconds > 0 ? { mainCause: cause as IdleCause } : {}) };
    }),
    rejected: rejected
      .slice(0, limits.rejected)
      .map((other) => ({ placement: other.placement, ratio: other.value / value })),
  };
}

function unusedOf(
  { run: { costs } }: RunSearch,
  { jobs }: PlayedRun,
  others: readonly OtherMode[],
): UnusedDevice[] {
  const used = new Set(jobs.flatMap(({ assignment }) => assignment.mode.devices));
  const lightest = Math.min(
    ...layerStates(costs.tasks, costs.layerCount).map(({ parameterBytes }) => parameterBytes),
  );
  return costs.devices.flatMap(({ id, memoryBytes }, device): UnusedDevice[] => {
    if (used.has(device)) return [];
    if (lightest > memoryBytes) return [{ device: id, reason: 'memory' }];
    if (![...used].some((other) => costs.routes.route(device, other)))
      return [{ device: id, reason: 'unreachable' }];
    const ratio = Math.min(
      ...others.filter(({ devices }) => devices.includes(device)).map((other) => other.ratio),
      Infinity,
    );
    return [{ device: id, reason: 'slower', ...(ratio < Infinity ? { ratio } : {}) }];
  });
}
