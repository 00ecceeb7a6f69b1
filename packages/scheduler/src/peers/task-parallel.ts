/**
 * Task-parallel list scheduling (HEFT; Topcuoglu, Hariri & Wu 2002): every task on one device, started when its own parents have ended
 * and the device is free.
 *
 *   rank(t) = seconds(t) + max over children rank(c)     seconds: the mean over the devices that can hold the task, or the least
 *
 * Tasks are placed by descending rank, each where it ends soonest, in a gap where one is long enough; then again with ranks perturbed at
 * random; then branch and bound tries other assignments and orders as far as its budget goes, which for few tasks is all of them.
 * Names and order of tasks and devices change nothing.
 */
import { openCluster } from '../cost/cluster-costs.js';
import { intervalsOf } from '../planner/intervals.js';
import type { Cluster } from '../problem/cluster.js';
import type { Workload } from '../problem/workload.js';
import { contextGear } from '../schedule/policies/context-gear.js';
import { assessPlacement } from '../search/assess-placement.js';
import { limits } from '../search/effort.js';
import { placementOn } from '../search/interval-problem.js';
import { createRandom } from '../simulate/random.js';

export interface ListScheduleOptions {
  /** Whether frozen prefixes may be cached after the first epoch, where that is faster. */
  readonly cache?: boolean;
  /** How many perturbed priorities to try. */
  readonly trials?: number;
  readonly seed?: number;
}

export interface TaskAssignment {
  readonly task: string;
  readonly device: string;
  readonly startSeconds: number;
  readonly endSeconds: number;
}

export interface TaskSchedule {
  readonly totalSeconds: number;
  /** By start. */
  readonly assignments: readonly TaskAssignment[];
}

/** The best schedule found; undefined where some task fits on no device. */
export function listScheduleTasks(
  workloads: readonly Workload[],
  cluster: Cluster,
  { cache = true, trials = limits.peerListTrials, seed = 1 }: ListScheduleOptions = {},
): TaskSchedule | undefined {
  const { tasks, devices } = inFixedOrder(workloads, cluster, secondsOfTasks(workloads, cluster, cache));
  if (tasks.some(({ least }) => least === Infinity)) return undefined;
  const random = createRandom(seed);
  let best: Slots = { slots: [], end: Infinity };
  const attempt = (priorities: readonly number[]) => {
    const found = placeBy(priorities, tasks, devices.length);
    if (found.end < best.end) best = found;
  };
  attempt(ranks(tasks, ({ mean }) => mean));
  attempt(ranks(tasks, ({ least }) => least));
  for (let trial = 0; trial < trials; trial++)
    attempt(ranks(tasks, ({ mean, least }) => (trial % 2 === 0 ? mean : least) * (0.5 + random())));
  best = branchAndBound(tasks, devices.length, best);
  const assignments = best.slots.map(({ device, start, end }, index): TaskAssignment => ({
    task: tasks[index]!.name,
    device: devices[device]!,
    startSeconds: start,
    endSeconds: end,
  }));
  return { totalSeconds: best.end, assignments: assignments.sort((a, b) => a.startSeconds - b.startSeconds) };
}

interface Task {
  readonly name: string;
  /** On each device; Infinity where it does not fit. */
  readonly seconds: readonly number[];
  readonly least: number;
  readonly mean: number;
  readonly parents: readonly number[];
  readonly children: readonly number[];
}

interface Slot {
  readonly device: number;
  readonly start: number;
  readonly end: number;
}

/** When and where each task runs. */
interface Slots {
  readonly slots: readonly Slot[];
  readonly end: number;
}

/** Seconds of each task on each device, in as few micro-batches as fit, with or without the cache. */
function secondsOfTasks(
  workloads: readonly Workload[],
  { devices }: Cluster,
  cache: boolean,
): readonly (readonly number[])[] {
  const settings = { objective: 'time', window: 2, groupLimit: 1, policies: [contextGear] } as const;
  const opened = devices.map((device) => openCluster({ devices: [device], links: [] }));
  const known = new Map<string, readonly number[]>();
  return workloads.map((workload) => {
    const { layers, samples, steps, epochs = 1 } = workload;
    const key = JSON.stringify([layers, samples, steps, epochs]);
    let seconds = known.get(key);
    if (seconds) return seconds;
    seconds = devices.map(({ id }, device) =>
      Math.min(
        ...(cache && epochs > 1 ? [false, true] : [false]).map((useCache) =>
          intervalsOf([workload], opened[device]!, { ...settings, microbatches: undefined }, useCache)
            .map((problem) => {
              for (const microbatches of problem.microbatches) {
                const found = assessPlacement(problem, placementOn(problem, id, microbatches));
                if (found) return found.totalSeconds;
              }
              return Infinity;
            })
            .reduce((sum, interval) => sum + interval, 0),
        ),
      ),
    );
    known.set(key, seconds);
    return seconds;
  });
}

/** Tasks and devices in an order that depends on their costs and places in the graph alone. */
function inFixedOrder(
  workloads: readonly Workload[],
  cluster: Cluster,
  seconds: readonly (readonly number[])[],
): { readonly tasks: readonly Task[]; readonly devices: readonly string[] } {
  const ascending = (a: number, b: number) => a - b;
  const byKey = (keys: readonly string[]) =>
    [...keys.keys()].sort((a, b) => (keys[a]! < keys[b]! ? -1 : keys[a]! > keys[b]! ? 1 : a - b));
  const at = new Map(workloads.map(({ name }, index) => [name, index]));
  const parents = workloads.map(({ dependsOn = [] }) => dependsOn.map((name) => at.get(name)!));
  const children = workloads.map((_, index) =>
    [...at.values()].filter((one) => parents[one]!.includes(index)),
  );
  const own = seconds.map((row) => JSON.stringify(row.map(String).sort()));
  // Neighbours' keys tell apart tasks of equal costs; after as many rounds as there are tasks, all that can be told is.
  let keys = own;
  for (let round = 0; round < Math.min(workloads.length, limits.listRounds); round++) {
    const labels = new Map([...new Set(keys)].sort().map((key, label) => [key, label]));
    const labelled = (others: readonly number[]) =>
      others.map((other) => labels.get(keys[other]!)!).sort(ascending);
    keys = own.map((key, task) =>
      JSON.stringify([key, labels.get(keys[task]!), labelled(parents[task]!), labelled(children[task]!)]),
    );
  }
  const taskOrder = byKey(keys);
  const deviceOrder = byKey(
    cluster.devices.map((_, device) =>
      JSON.stringify(taskOrder.map((task) => String(seconds[task]![device]!))),
    ),
  );
  const place = new Map(taskOrder.map((task, index) => [task, index]));
  const tasks = taskOrder.map((task): Task => {
    const row = deviceOrder.map((device) => seconds[task]![device]!);
    const finite = row.filter((one) => one < Infinity);
    return {
      name: workloads[task]!.name,
      seconds: row,
      least: Math.min(...row),
      mean: finite.reduce((sum, one) => sum + one, 0) / finite.length,
      parents: parents[task]!.map((parent) => place.get(parent)!),
      children: children[task]!.map((child) => place.get(child)!),
    };
  });
  return { tasks, devices: deviceOrder.map((device) => cluster.devices[device]!.id) };
}

/** For each task the length of the longest path from its start to the end of the graph. */
function ranks(tasks: readonly Task[], secondsOf: (task: Task) => number): number[] {
  const known: number[] = [];
  const rankOf = (index: number): number =>
    (known[index] ??= secondsOf(tasks[index]!) + Math.max(0, ...tasks[index]!.children.map(rankOf)));
  return tasks.map((_, index) => rankOf(index));
}

/** Each task in the order of its priority where it ends soonest, between others where it fits. */
function placeBy(priorities: readonly number[], tasks: readonly Task[], deviceCount: number): Slots {
  const order = [...tasks.keys()].sort((a, b) => priorities[b]! - priorities[a]! || a - b);
  const slots: Slot[] = [];
  const busy: Slot[][] = Array.from({ length: deviceCount }, () => []);
  for (const index of order) {
    const { seconds, parents } = tasks[index]!;
    const ready = Math.max(0, ...parents.map((parent) => slots[parent]!.end));
    let best: Slot | undefined;
    for (const [device, taken] of busy.entries()) {
      if (seconds[device] === Infinity) continue;
      let start = ready;
      for (const other of taken) {
        if (start + seconds[device]! <= other.start) break;
        start = Math.max(start, other.end);
      }
      const end = start + seconds[device]!;
      if (!best || end < best.end) best = { device, start, end };
    }
    slots[index] = best!;
    const taken = busy[best!.device]!;
    taken.splice(taken.findLastIndex((other) => other.start <= best!.start) + 1, 0, best!);
  }
  return { slots, end: Math.max(0, ...slots.map(({ end }) => end)) };
}

/**
 * All schedules in which tasks are placed in the order of their starts, but for those that cannot end before the best one.
 *
 * What cannot be beaten: every path at its quickest, and the devices' time ÷ devices. Ends after `limits.listNodes` nodes.
 */
function branchAndBound(tasks: readonly Task[], deviceCount: number, incumbent: Slots): Slots {
  const rank = ranks(tasks, ({ least }) => least);
  const order = [...tasks.keys()].sort((a, b) => rank[b]! - rank[a]! || a - b);
  const slots: (Slot | undefined)[] = tasks.map(() => undefined);
  const free = new Array<number>(deviceCount).fill(0);
  let best = incumbent;
  let nodes = 0;
  const alike = (a: number, b: number) =>
    free[a] === free[b] && tasks.every(({ seconds }) => seconds[a] === seconds[b]);
  const place = (placed: number, lastStart: number, end: number, left: number): void => {
    if (placed === tasks.length) {
      if (end < best.end) best = { slots: slots.map((slot) => slot!), end };
      return;
    }
    const used = free.reduce((sum, one) => sum + Math.max(one, lastStart), 0);
    if ((used + left) / deviceCount >= best.end) return;
    const options: (Slot & { readonly index: number; readonly bound: number })[] = [];
    for (const index of order) {
      const { seconds, parents, least } = tasks[index]!;
      if (slots[index] || parents.some((parent) => !slots[parent])) continue;
      const ready = Math.max(0, ...parents.map((parent) => slots[parent]!.end));
      for (let device = 0; device < deviceCount; device++) {
        const start = Math.max(ready, free[device]!);
        // One that starts before the last one was placed before it in another branch.
        if (start < lastStart || seconds[device] === Infinity) continue;
        if (free.some((_, other) => other < device && alike(other, device))) continue;
        const stop = start + seconds[device]!;
        const bound = Math.max(end, stop + rank[index]! - least);
        if (bound < best.end) options.push({ index, device, start, end: stop, bound });
      }
      if (Math.max(ready, Math.min(...free)) + rank[index]! >= best.end) return;
    }
    options.sort((a, b) => a.start - b.start || a.bound - b.bound);
    for (const { index, bound, ...slot } of options) {
      if (bound >= best.end) continue;
      if ((nodes += 1) > limits.listNodes) return;
      const before = free[slot.device]!;
      slots[index] = slot;
      free[slot.device] = slot.end;
      place(placed + 1, slot.start, Math.max(end, slot.end), left - tasks[index]!.least);
      free[slot.device] = before;
      slots[index] = undefined;
    }
  };
  place(
    0,
    0,
    0,
    tasks.reduce((sum, { least }) => sum + least, 0),
  );
  return best;
}
