/** How the ranks of a linear are shared among the tasks present in it: strategies, each a function. */
import { lookUp } from '../look-up.js';
import type { LinearShape } from './partition.js';

export interface AllocationTask {
  readonly id: string;
  readonly dependsOn: readonly string[];
  /** Relative weight; 1 when absent. */
  readonly share?: number;
}

/** Ranks of each task in one linear, in the order of the tasks; of all strategies but {@link allocateFixed} their sum is `rank`. A task with 0 is absent there. */
export type Allocate = (
  rank: number,
  tasks: readonly AllocationTask[],
  place: { readonly linear: LinearShape; readonly layerCount: number },
) => readonly number[];

/** Equal ranks; the remainder goes to the first tasks. */
export const allocateUniform: Allocate = (rank, tasks) =>
  largestRemainder(
    rank,
    tasks.map(() => 1),
  );

/** In proportion to each task's `share`, at least 1 each. */
export const allocateByShare: Allocate = (rank, tasks) =>
  largestRemainder(
    rank,
    tasks.map(({ share }) => share ?? 1),
  );

/**
 * Early tasks of the graph get more ranks in the lower decoder layers, late tasks in the upper ones: the weight is
 * 1 + 3 (1 − |level / highest level − layerIndex / highest layerIndex|), so that the best match has four times the worst.
 */
export const allocateByLevel: Allocate = (rank, tasks, { linear, layerCount }) => {
  const levels = levelsOf(tasks);
  const highest = Math.max(1, ...levels);
  const height = linear.layerIndex === undefined || layerCount < 2 ? 0 : linear.layerIndex / (layerCount - 1);
  return largestRemainder(
    rank,
    levels.map((level) => 1 + 3 * (1 - Math.abs(level / highest - height))),
  );
};

/** In proportion to the tasks' numbers of training rows, at least 1 each. */
export const allocateByData =
  (rows: Readonly<Record<string, number>>): Allocate =>
  (rank, tasks) =>
    largestRemainder(
      rank,
      tasks.map(({ id }) => lookUp(rows, id) ?? 0),
    );

/** Task → linear → how much it matters to the task; only its proportions within a task count. */
export type Importance = Readonly<Record<string, Readonly<Record<string, number>>>>;

/**
 * In proportion to how much the linear matters to each task, relative to the task's other linears: a task gives up ranks where it gains
 * little from them. At least 1 each.
 */
export const allocateByImportance = (importance: Importance): Allocate => {
  const means = new Map(
    Object.entries(importance).map(([task, ofTask]) => {
      const values = Object.values(ofTask);
      return [task, values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length)];
    }),
  );
  return (rank, tasks, { linear }) =>
    largestRemainder(
      rank,
      tasks.map(({ id }) => {
        const mean = means.get(id) ?? 0;
        return mean > 0 ? (lookUp(lookUp(importance, id) ?? {}, linear.name) ?? 0) / mean : 0;
      }),
    );
};

/** The given ranks of each task in every linear where it is present, whatever the total. */
export const allocateFixed =
  (ranks: Readonly<Record<string, number>>): Allocate =>
  (_, tasks) =>
    tasks.map(({ id }) => lookUp(ranks, id) ?? 0);

/** Shares `total` in proportion to the weights, at least 1 each; the largest fractions round up (Hamilton's method). */
function largestRemainder(total: number, weights: readonly number[]): number[] {
  const sum = weights.reduce((s, w) => s + w, 0);
  const spare = total - weights.length;
  // Nothing to tell the tasks apart by: equal shares.
  const exact = weights.map((weight) => (sum > 0 ? (spare * weight) / sum : spare / weights.length));
  const ranks = exact.map((value) => 1 + Math.floor(value));
  let left = total - ranks.reduce((s, r) => s + r, 0);
  const byFraction = exact
    .map((value, i) => ({ i, fraction: value - Math.floor(value) }))
    .sort((p, q) => q.fraction - p.fraction || p.i - q.i);
  for (const { i } of byFraction) {
    if (left-- <= 0) break;
    ranks[i] = (ranks[i] ?? 0) + 1;
  }
  return ranks;
}

/** The longest path to each task among the tasks present. */
function levelsOf(tasks: readonly AllocationTask[]): number[] {
  const level = new Map<string, number>();
  const visit = (id: string): number => {
    const known = level.get(id);
    if (known !== undefined) return known;
    const dependsOn = tasks.find((task) => task.id === id)?.dependsOn ?? [];
    const value = dependsOn.length === 0 ? 0 : 1 + Math.max(...dependsOn.map(visit));
    level.set(id, value);
    return value;
  };
  return tasks.map(({ id }) => visit(id));
}
