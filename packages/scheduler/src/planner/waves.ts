/** Which tasks may train at the same time: a wave holds siblings, and waves follow each other in the order of the dependencies. */
import type { Workload } from '../problem/workload.js';

/** Waves by level: a task stands one wave after the latest of its parents. Names in the order of the input. */
export function wavesOf(workloads: readonly Workload[]): string[][] {
  const waves: string[][] = [];
  for (const [name, tasks] of longestPaths(workloads, () => 1)) (waves[tasks - 1] ??= []).push(name);
  return waves;
}

/** Seconds of the longest chain of tasks that wait for each other. */
export const criticalPath = (
  workloads: readonly Workload[],
  seconds: (workload: Workload) => number,
): number => Math.max(0, ...longestPaths(workloads, seconds).map(([, end]) => end));

/** For each task the length of the longest path that ends with it, its own included. */
function longestPaths(
  workloads: readonly Workload[],
  lengthOf: (workload: Workload) => number,
): [name: string, end: number][] {
  const ends = new Map<string, number>();
  const byName = new Map(workloads.map((workload) => [workload.name, workload]));
  const endOf = (name: string): number => {
    const known = ends.get(name);
    if (known !== undefined) return known;
    const workload = byName.get(name)!;
    const end = lengthOf(workload) + Math.max(0, ...(workload.dependsOn ?? []).map(endOf));
    ends.set(name, end);
    return end;
  };
  return workloads.map(({ name }) => [name, endOf(name)]);
}
