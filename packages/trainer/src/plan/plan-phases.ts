/** From a task graph to a list of phases, each with the roles of all segments. */
import type { Roles } from '@contextlora/lora';
import { orderTasks, siblingWaves, type TaskGraph } from '@contextlora/task-graph';

import { rolesOf as contextRoles, type RolesOf } from './roles-of.js';

/** The tasks that train together, and the role of every segment in the steps of each. Plain JSON. */
export interface Phase {
  /** More than one only for siblings, whose steps do not affect each other. */
  readonly tasks: readonly string[];
  /** Training task → the roles of the segments of all tasks. */
  readonly roles: Readonly<Record<string, Roles>>;
}

export interface PlanPhasesOptions {
  /** Which segments train, freeze or mask; another strategy makes an ablation. */
  readonly rolesOf?: RolesOf;
  /** Puts the siblings of a level into one phase, where their steps alternate. */
  readonly concurrent?: boolean;
}

/** Plans one phase per task in topological order or, with `concurrent`, one per level of the graph. */
export function planPhases(
  graph: TaskGraph,
  { rolesOf = contextRoles, concurrent = false }: PlanPhasesOptions = {},
): Phase[] {
  const waves = concurrent ? siblingWaves(graph) : orderTasks(graph).map((task) => [task]);
  return waves.map((tasks) => ({
    tasks,
    roles: Object.fromEntries(tasks.map((task) => [task, rolesOf(graph, task)])),
  }));
}

/** All tasks that have a role in one of the phases, in the order of their first. */
export const tasksWithRoles = (phases: readonly Phase[]): string[] => [
  ...new Set(phases.flatMap(({ roles }) => Object.values(roles).flatMap((task) => Object.keys(task)))),
];
