/**
 * Which segments train, are frozen or are masked in the steps of a task (our reading of the paper).
 *
 * A strategy is a function `(graph, task) → roles`; each ablation differs from {@link rolesOf} in one role.
 */
import type { Role, Roles } from '@contextlora/lora';
import { ancestorsOf, orderTasks, type TaskGraph } from '@contextlora/task-graph';

export type RolesOf = (graph: TaskGraph, task: string) => Roles;

/** The method: the task trains, its ancestors are used but frozen, every other segment is skipped. */
export const rolesOf: RolesOf = (graph, task) => assign(graph, task, 'freeze', 'mask');

/** Ablation `noFreeze`: the ancestors train too, so that finished tasks may change. */
export const rolesWithoutFreeze: RolesOf = (graph, task) => assign(graph, task, 'train', 'mask');

/** Ablation `noMask`: every other segment is used and frozen, related or not. */
export const rolesWithoutMask: RolesOf = (graph, task) => assign(graph, task, 'freeze', 'freeze');

function assign(graph: TaskGraph, task: string, ancestorRole: Role, otherRole: Role): Roles {
  const ancestors = new Set(ancestorsOf(graph, task));
  return Object.fromEntries(
    orderTasks(graph).map((id) => [id, id === task ? 'train' : ancestors.has(id) ? ancestorRole : otherRole]),
  );
}

/** The roles of inference: the segments that a step uses, none of them training. */
export function inferenceRoles(roles: Roles): Roles {
  return Object.fromEntries(
    Object.entries(roles).map(([task, role]) => [task, role === 'train' ? 'freeze' : role]),
  );
}
