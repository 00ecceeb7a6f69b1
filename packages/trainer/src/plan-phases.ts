/** The order of the steps: from a task graph to a list of phases, each with the roles of its tasks. */
import type { Roles } from '@contextlora/lora';
import { orderTasks, siblingWaves, type TaskGraph } from '@contextlora/task-graph';

import { rolesOf as contextRoles, type RolesOf } from './roles-of.js';

/** One step of the fine-tuning: the tasks that train, and every segment's role in each one's step. Plain JSON. */
export interface Phase {
  /** More than one only for siblings, whose steps do not interact. */
  readonly tasks: readonly string[];
  /** Training task → roles of all tasks' segments. */
  readonly roles: Readonly<Record<string, Roles>>;
}

export interface PlanPhasesOptions {
  /** Who trains, freezes and masks; {@link contextRoles} unless an ablation is wanted. */
  readonly rolesOf?: RolesOf;
  /** Put siblings of one level into one phase. */
  readonly concurrent?: boolean;
}

/** Plans one phase per task in topological order, or one per wave of siblings with `concurrent`. */
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
