/** Which tasks may train at the same time: a wave holds siblings, and waves follow each other in the order of the dependencies. */
import type { Workload } from '../problem/workload.js';

/** Waves by level: a task stands one wave after the latest of its parents. Names in the order of the input. */
export function wavesOf(workloads: readonly Workload[]): string[][] {
  const levels = new Map<string, number>();
  const byName = new Map(workloads.map((workload) => [workload.name, workload]));
  const levelOf = (name: string): number => {
    const known = levels.get(name);
    if (known !== undefined) return known;
    const parents = byName.get(name)!.dependsOn ?? [];
    const level = 1 + Math.max(-1, ...parents.map(levelOf));
    levels.set(name, level);
    return level;
  };
  const waves: string[][] = [];
  for (const { name } of workloads) (waves[levelOf(name)] ??= []).push(name);
  return waves;
}

/** Seconds of the longest chain of tasks that wait for each other. */
export function criticalPath(
  workloads: readonly Workload[],
  seconds: (workload: Workload) => number,
): number {
  const ends = new Map<string, number>();
  const byName = new Map(workloads.map((workload) => [workload.name, workload]));
  const endOf = (name: string): number => {
    const known = ends.get(name);
    if (known !== undefined) return known;
    const workload = byName.get(name)!;
    const end = seconds(workload) + Math.max(0, ...(workload.dependsOn ?? []).map(endOf));
    ends.set(name, end);
    return end;
  };
  return Math.max(0, ...workloads.map(({ name }) => endOf(name)));
}
