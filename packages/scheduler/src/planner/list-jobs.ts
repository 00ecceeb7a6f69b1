/**
 * Serial schedule generation: jobs in an order, each in a mode, start when their predecessors have ended and their devices are free. Here
 * nothing is fetched and the network is everyone's own, so the times are lower bounds of those that the player finds.
 */
import type { Assignment, CandidateJob, Run } from './run.js';

/** Seconds until the last of them ends. */
export function listSeconds({ graph, costs }: Run, order: readonly Assignment[]): number {
  const free = new Float64Array(costs.devices.length);
  const ends = new Float64Array(graph.workloads.length);
  let last = 0;
  for (const assignment of order) last = Math.max(last, place(graph, assignment, free, ends));
  return last;
}

/** When it would start. */
export function startOf(
  { parents }: Run['graph'],
  { job, mode }: Assignment,
  free: Float64Array,
  ends: Float64Array,
): number {
  let start = 0;
  for (const task of job.tasks) for (const parent of parents[task]!) start = Math.max(start, ends[parent]!);
  for (const device of mode.devices) start = Math.max(start, free[device]!);
  return start;
}

/** Enters it into `free` and `ends`, and returns its end. */
function place(graph: Run['graph'], assignment: Assignment, free: Float64Array, ends: Float64Array): number {
  const end = startOf(graph, assignment, free, ends) + assignment.seconds;
  for (const task of assignment.job.tasks) ends[task] = end;
  for (const device of assignment.mode.devices) free[device] = end;
  return end;
}

export interface ListRule {
  /** Factor of a job's length in its priority, the longest path from it to the end. */
  readonly weigh: () => number;
  /** Whether paths count jobs at their fastest or at their mean. */
  readonly lengths: 'fastest' | 'mean';
  /** What a choice costs that would end at this time: the least is taken. */
  readonly cost: (end: number, choice: Assignment) => number;
}

/** The jobs by priority, each where the rule says; undefined where a task has no choice. */
export function listJobs(
  { graph, costs }: Run,
  jobs: readonly CandidateJob[],
  rule: ListRule,
): Assignment[] | undefined {
  if (jobs.some(({ choices }) => choices.length === 0)) return undefined;
  const jobOf = new Map(
    jobs.flatMap((candidate) => candidate.job.tasks.map((task) => [task, candidate] as const)),
  );
  const lengths = new Map(
    jobs.map((candidate) => {
      const seconds = candidate.choices.map((choice) => choice.seconds);
      const length =
        rule.lengths === 'fastest'
          ? Math.min(...seconds)
          : seconds.reduce((a, b) => a + b, 0) / seconds.length;
      return [candidate, length * rule.weigh()] as const;
    }),
  );
  const ranks = new Map<CandidateJob, number>();
  const rankOf = (candidate: CandidateJob): number => {
    let rank = ranks.get(candidate);
    if (rank === undefined) {
      // Groups of tasks at different depths could wait for each other in a ring; such a list is refused below.
      ranks.set(candidate, 0);
      const children = candidate.job.tasks.flatMap((task) =>
        graph.children[task]!.map((child) => jobOf.get(child)!),
      );
      rank = lengths.get(candidate)! + Math.max(0, ...children.map(rankOf));
      ranks.set(candidate, rank);
    }
    return rank;
  };
  const left = [...jobs].sort((a, b) => rankOf(b) - rankOf(a));
  const free = new Float64Array(costs.devices.length);
  const ends = new Float64Array(graph.workloads.length);
  const placed = new Set<number>();
  const order: Assignment[] = [];
  while (left.length > 0) {
    const at = left.findIndex(({ job }) =>
      job.tasks.every((task) => graph.parents[task]!.every((parent) => placed.has(parent))),
    );
    if (at < 0) return undefined;
    const [candidate] = left.splice(at, 1);
    let best: { choice: Assignment; cost: number } | undefined;
    for (const choice of candidate!.choices) {
      const cost = rule.cost(startOf(graph, choice, free, ends) + choice.seconds, choice);
      if (!best || cost < best.cost) best = { choice, cost };
    }
    place(graph, best!.choice, free, ends);
    for (const task of candidate!.job.tasks) placed.add(task);
    order.push(best!.choice);
  }
  return order;
}
