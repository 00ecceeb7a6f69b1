/** Jobs: what is trained as one, and what waits for what. */
import type { Workload } from '../problem/workload.js';

/** One task, or siblings interleaved in one pipeline. */
export interface Job {
  /** Indices of the workloads, ascending. */
  readonly tasks: readonly number[];
  /** The same for jobs of equal cost. */
  readonly kind: string;
}

/** The task graph by index. */
export interface TaskGraph {
  readonly workloads: readonly Workload[];
  readonly parents: readonly (readonly number[])[];
  readonly children: readonly (readonly number[])[];
  /** All tasks that must end first, in any order. */
  readonly ancestors: readonly ReadonlySet<number>[];
  /** For each task the first one of equal cost. */
  readonly alike: readonly number[];
}

export function taskGraph(workloads: readonly Workload[]): TaskGraph {
  const indexOf = new Map(workloads.map(({ name }, index) => [name, index]));
  const parents = workloads.map(({ dependsOn = [] }) =>
    [...new Set(dependsOn)].map((name) => indexOf.get(name)!),
  );
  const ancestors: (ReadonlySet<number> | undefined)[] = workloads.map(() => undefined);
  const ancestorsOf = (task: number): ReadonlySet<number> => {
    const found = (ancestors[task] ??= new Set(
      parents[task]!.flatMap((parent) => [parent, ...ancestorsOf(parent)]),
    ));
    return found;
  };
  for (const task of workloads.keys()) ancestorsOf(task);
  const children = workloads.map((_, task) =>
    [...workloads.keys()].filter((other) => parents[other]!.includes(task)),
  );
  return {
    workloads,
    parents,
    children,
    ancestors: workloads.map((_, task) => ancestorsOf(task)),
    alike: firstAlike(workloads),
  };
}

function firstAlike(workloads: readonly Workload[]): number[] {
  const firsts = new Map<string, number>();
  return workloads.map(({ layers, ...workload }, task) => {
    const look = JSON.stringify([
      { ...workload, name: '', dependsOn: [] },
      layers.map((layer) => ({ ...layer, name: '' })),
    ]);
    if (!firsts.has(look)) firsts.set(look, task);
    return firsts.get(look)!;
  });
}

export const jobOf = ({ alike }: TaskGraph, tasks: readonly number[]): Job => ({
  tasks,
  kind: tasks.map((task) => alike[task]!).join('+'),
});

/** Whether two tasks do not wait for each other. */
export const hasSiblings = ({ ancestors }: TaskGraph): boolean =>
  ancestors.some((above, task) =>
    ancestors.some((others, other) => other < task && !above.has(other) && !others.has(task)),
  );

/** Tasks by level: a task stands one level after the latest of its parents. */
export function levelsOf({ workloads, parents }: TaskGraph): number[][] {
  const levels: number[][] = [];
  const known = new Map<number, number>();
  const levelOf = (task: number): number => {
    let level = known.get(task);
    if (level === undefined) {
      level = Math.max(-1, ...parents[task]!.map(levelOf)) + 1;
      known.set(task, level);
    }
    return level;
  };
  for (const task of workloads.keys()) (levels[levelOf(task)] ??= []).push(task);
  return levels;
}
