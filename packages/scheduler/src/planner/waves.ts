/** The levels of the task graph, by name. */
import type { Workload } from '../problem/workload.js';
import { levelsOf, taskGraph } from './jobs.js';

/** Tasks by level: a task stands one level after the latest of its parents. Names in the order of the input. */
export const wavesOf = (workloads: readonly Workload[]): string[][] =>
  levelsOf(taskGraph(workloads)).map((level) => level.map((task) => workloads[task]!.name));
