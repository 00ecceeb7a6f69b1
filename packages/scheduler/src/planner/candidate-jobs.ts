/** Which jobs there may be and in which modes each may run: every task alone, and siblings that may be interleaved in one pipeline. */
import { limits } from '../search/effort.js';
import { answersOf } from './answers.js';
import { deviceSets } from './device-sets.js';
import type { Assignment, CandidateJob, CandidateJobs, Run } from './run.js';
import { type Job, jobOf, levelsOf, type TaskGraph } from './jobs.js';
import { type Mode, modesOf } from './modes.js';
import type { LaneSearch } from './found-intervals.js';

export function candidateJobs(run: Run, search: LaneSearch, siblings: boolean): CandidateJobs {
  const { graph } = run;
  const widest = Math.max(...levelsOf(graph).map(({ length }) => length));
  const sets = deviceSets(search.opened, siblings ? widest : 1);
  // Tasks of equal cost have equal modes, but for names.
  const setsOf = new Map<string, readonly (readonly number[])[]>();
  const candidate = (
    tasks: readonly number[],
    wanted: (mode: Mode) => boolean = () => true,
  ): CandidateJob => {
    const job = jobOf(graph, tasks);
    const orders = ordersOf(search, graph, tasks).map((order) => order.map((task) => graph.workloads[task]!));
    const asked =
      setsOf.get(job.kind) ?? (tasks.length === 1 ? sets : sets.filter(({ length }) => length > 1));
    const promising = modesOf(search, orders, asked);
    setsOf.set(
      job.kind,
      promising.map(({ set }) => set),
    );
    // A search finds what hardly fits.
    const modes =
      promising.length > 0 || tasks.length > 1 || search.look === 'search'
        ? promising
        : modesOf({ ...search, look: 'search' }, orders, sets.slice(-1));
    return {
      job,
      choices: modes.filter(wanted).map((mode) => assignmentOf(run, job, mode)),
    };
  };
  const single = graph.workloads.map((_, task) => candidate([task]));
  /** The least value of a task on these devices. */
  const alone = (task: number, devices: readonly number[]) =>
    Math.min(
      Infinity,
      ...single[task]!.choices.filter(({ mode }) =>
        mode.devices.every((device) => devices.includes(device)),
      ).map(({ mode }) => mode.value),
    );
  const groups = (siblings ? groupsOf(graph) : [])
    // In one pipeline they must be quicker than one after the other on the same devices.
    .map((tasks) =>
      candidate(
        tasks,
        ({ devices, value }) => value < tasks.reduce((sum, task) => sum + alone(task, devices), 0),
      ),
    )
    .filter(({ choices }) => choices.length > 0);
  return { single, groups };
}

export function assignmentOf(run: Run, job: Job, mode: Mode): Assignment {
  const answers = answersOf(run, job, mode);
  return {
    job,
    mode,
    answers,
    seconds: mode.seconds + answers.reduce((sum, { seconds }) => sum + seconds, 0),
  };
}

/** In which siblings may follow each other in one pipeline, tasks of equal cost in one of them; only the given one where all are too many. */
function ordersOf(
  { opened, options: { exactLayers = 0 } }: LaneSearch,
  { workloads, alike }: TaskGraph,
  tasks: readonly number[],
): readonly (readonly number[])[] {
  const few =
    workloads.length <= limits.allGroups &&
    opened.devices.length <= limits.allDeviceSets &&
    workloads[0]!.layers.length <= exactLayers;
  const ordersFrom = (left: readonly number[]): number[][] =>
    left.length === 0
      ? [[]]
      : left
          .filter((task, at) => left.findIndex((other) => alike[other] === alike[task]) === at)
          .flatMap((task) =>
            ordersFrom(left.filter((other) => other !== task)).map((rest) => [task, ...rest]),
          );
  return few ? ordersFrom(tasks) : [tasks];
}

/** Sets of tasks that do not wait for each other: all of few tasks; of many the levels, and pairs within small levels. */
function groupsOf(graph: TaskGraph): number[][] {
  const count = graph.workloads.length;
  if (count <= limits.allGroups) {
    const sets: number[][] = [];
    for (let mask = 3; mask < 2 ** count; mask++) {
      const tasks = [...graph.workloads.keys()].filter((task) => mask & (1 << task));
      const apart = tasks.every((task) => tasks.every((other) => !graph.ancestors[task]!.has(other)));
      if (tasks.length > 1 && apart) sets.push(tasks);
    }
    return sets;
  }
  return levelsOf(graph).flatMap((level) => {
    if (level.length < 2) return [];
    const pairs =
      count <= limits.pairedTasks && level.length > 2 && level.length <= limits.pairedLevel
        ? level.flatMap((a, index) => level.slice(index + 1).map((b) => [a, b]))
        : [];
    return [level, ...pairs];
  });
}
