/**
 * Lists of tasks that have one device each, by heterogeneous earliest finish time (HEFT; Topcuoglu, Hariri & Wu 2002):
 *
 *   rank(t) = seconds(t) + max over children rank(c)     seconds: the mean over the devices that can hold the task, or the least
 *
 * Tasks are placed by descending rank, each where it ends soonest with what it must fetch, in a gap where one is long enough; then again
 * with ranks perturbed at random.
 */
import { gradientBytes } from '../cost/task-costs.js';
import { limits } from '../search/effort.js';
import { createRandom } from '../simulate/random.js';
import type { Assignment, CandidateJob, Run } from './run.js';

/** The choices of one device. */
export const onSingleDevices = (single: readonly CandidateJob[]): CandidateJob[] =>
  single.map(({ job, choices }) => ({
    job,
    choices: choices.filter(({ mode }) => mode.devices.length === 1),
  }));

/** None where a task has no choice. */
export function* taskLists(run: Run, single: readonly CandidateJob[]): Generator<Assignment[]> {
  if (single.some(({ choices }) => choices.length === 0)) return;
  const random = createRandom(limits.listSeed);
  const least = single.map(({ choices }) => Math.min(...choices.map(({ seconds }) => seconds)));
  const mean = single.map(
    ({ choices }) => choices.reduce((sum, { seconds }) => sum + seconds, 0) / choices.length,
  );
  for (let trial = 0; trial < limits.taskListTrials; trial++) {
    const lengths = trial % 2 === 0 ? mean : least;
    yield listTasks(run, single, trial < 2 ? lengths : lengths.map((seconds) => seconds * (0.5 + random())));
  }
}

interface Slot {
  readonly choice: Assignment;
  readonly start: number;
  readonly end: number;
}

/** In the order of their starts. */
function listTasks(run: Run, single: readonly CandidateJob[], lengths: readonly number[]): Assignment[] {
  const { graph } = run;
  const known: number[] = [];
  const rankOf = (task: number): number =>
    (known[task] ??= lengths[task]! + Math.max(0, ...graph.children[task]!.map(rankOf)));
  const order = single.map((_, task) => task).sort((a, b) => rankOf(b) - rankOf(a) || levels(a, b));
  const slots: Slot[] = [];
  const busy = new Map<number, Slot[]>();
  for (const task of order) {
    let best: Slot | undefined;
    for (const choice of single[task]!.choices) {
      const [device] = choice.mode.devices;
      let start = 0;
      for (const ancestor of graph.ancestors[task]!)
        start = Math.max(
          start,
          slots[ancestor]!.end + fetchSeconds(run, ancestor, slots[ancestor]!, device!),
        );
      for (const other of busy.get(device!) ?? []) {
        if (start + choice.seconds <= other.start) break;
        start = Math.max(start, other.end);
      }
      const end = start + choice.seconds;
      if (!best || end < best.end) best = { choice, start, end };
    }
    slots[task] = best!;
    const [device] = best!.choice.mode.devices;
    const taken = busy.get(device!) ?? [];
    taken.splice(taken.findLastIndex((other) => other.start <= best!.start) + 1, 0, best!);
    busy.set(device!, taken);
  }
  const at = new Map(order.map((task, place) => [task, place]));
  return order
    .toSorted((a, b) => slots[a]!.start - slots[b]!.start || at.get(a)! - at.get(b)!)
    .map((task) => slots[task]!.choice);

  /** Of equal ranks, tasks that take no time may be each other's ancestors. */
  function levels(a: number, b: number): number {
    return graph.ancestors[a]!.size - graph.ancestors[b]!.size || a - b;
  }
}

/** Seconds that an ancestor's segment is under way to another device. */
function fetchSeconds({ costs, holders }: Run, task: number, { choice }: Slot, to: number): number {
  const [from] = choice.mode.devices;
  const bytes = gradientBytes(costs.tasks[task]!, { start: 0, end: costs.layerCount });
  if (from === to || bytes === 0) return 0;
  const route = holders.routes.route(from!, to);
  return route ? bytes / route.bytesPerSecond + route.latencySeconds : Infinity;
}
