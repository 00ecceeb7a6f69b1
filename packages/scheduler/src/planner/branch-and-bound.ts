/**
 * Every list of jobs and modes, by branch and bound: a branch is left when the jobs placed so far, or the longest path through what is left
 * at its fastest, already end no sooner than the best list found. Jobs enter in the order of their starts, which leaves out no schedule.
 */
import { limits } from '../search/effort.js';
import { valueOf } from '../search/interval-problem.js';
import type { Assignment, RunSearch } from './run.js';
import { listSeconds, startOf } from './list-jobs.js';
import { type PlayedRun, playRun } from './play-run.js';

export interface CoveredLists {
  readonly played: PlayedRun;
  /** Whether all lists were covered or bounded away. */
  readonly complete: boolean;
  /** No list can be worth less, even if nothing had to be fetched and jobs did not share the air. */
  readonly least: number;
}

export function branchAndBound(
  { run, candidates: { single, groups }, objective, siblings }: RunSearch,
  incumbent: PlayedRun,
): CoveredLists {
  const { graph, costs } = run;
  const all = [...single, ...groups];
  const count = graph.workloads.length;
  const fastest = graph.workloads.map((_, task) =>
    Math.min(
      ...all
        .filter(({ job }) => job.tasks.includes(task))
        .flatMap(({ choices }) => choices.map(({ seconds }) => seconds)),
    ),
  );
  /** The longest path from a task's start to the end. */
  const tails: number[] = [];
  const tailOf = (task: number): number =>
    (tails[task] ??= fastest[task]! + Math.max(0, ...graph.children[task]!.map(tailOf)));
  for (const task of graph.workloads.keys()) tailOf(task);
  // A group may spend less than its tasks do apart.
  const leastJoules = graph.workloads.map((_, task) =>
    groups.some(({ job }) => job.tasks.includes(task))
      ? 0
      : Math.min(...single[task]!.choices.map(({ mode }) => mode.joules), Infinity),
  );
  let best = incumbent;
  let least = valueOf(
    objective,
    siblings
      ? listSeconds(
          run,
          incumbent.jobs.map(({ assignment }) => assignment),
        )
      : incumbent.jobs.reduce((sum, { assignment }) => sum + assignment.seconds, 0),
    incumbent.jobs.reduce((sum, { assignment }) => sum + assignment.mode.joules, 0),
  );
  let nodes = count > limits.coveredJobs ? Infinity : 0;
  const visit = (
    order: readonly Assignment[],
    free: Float64Array,
    ends: Float64Array,
    { lastStart, end, joules }: { lastStart: number; end: number; joules: number },
  ): void => {
    if (nodes > limits.coveredNodes) return;
    nodes += 1;
    const placed = new Set(order.flatMap(({ job }) => job.tasks));
    if (placed.size === count) {
      least = Math.min(least, valueOf(objective, end, joules));
      const played = playRun(run, order, objective, siblings);
      if (played && played.value < best.value) best = played;
      return;
    }
    for (const { job, choices } of all) {
      if (
        job.tasks.some(
          (task) => placed.has(task) || graph.parents[task]!.some((parent) => !placed.has(parent)),
        )
      )
        continue;
      for (const choice of choices) {
        const start = siblings ? startOf(graph, choice, free, ends) : end;
        if (start < lastStart) continue;
        // Two that start at once need not be tried in both orders.
        const last = order.at(-1);
        if (last && start === lastStart && last.seconds > 0 && job.tasks[0]! < last.job.tasks[0]!) continue;
        const ended = start + choice.seconds;
        const nextEnds = Float64Array.from(ends);
        for (const task of job.tasks) nextEnds[task] = ended;
        let bound = Math.max(end, ended);
        for (const task of graph.workloads.keys())
          if (!placed.has(task) && !job.tasks.includes(task))
            bound = Math.max(
              bound,
              // What enters later starts no sooner.
              Math.max(start, ...graph.parents[task]!.map((parent) => nextEnds[parent]!)) + tails[task]!,
            );
        const spent = joules + choice.mode.joules;
        const owed = leastJoules.reduce(
          (sum, one, task) => sum + (placed.has(task) || job.tasks.includes(task) ? 0 : one),
          0,
        );
        if (valueOf(objective, bound, spent + owed) >= best.value * (1 - 1e-12)) continue;
        const nextFree = Float64Array.from(free);
        for (const device of choice.mode.devices) nextFree[device] = ended;
        visit([...order, choice], nextFree, nextEnds, {
          lastStart: start,
          end: Math.max(end, ended),
          joules: spent,
        });
      }
    }
  };
  visit([], new Float64Array(costs.devices.length), new Float64Array(count), {
    lastStart: 0,
    end: 0,
    joules: 0,
  });
  return { played: best, complete: nodes <= limits.coveredNodes, least };
}
