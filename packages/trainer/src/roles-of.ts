/**
 * Who trains, who is frozen and who is masked in one task's step (spec/contextlora section 3; our reading of the paper).
 *
 * A strategy is a function `(graph, task) → roles`; the ablations differ from {@link rolesOf} in one role each.
 */
import type { Role, Roles } from '@contextlora/lora';
import { ancestorsOf, orderTasks, type TaskGraph } from '@contextlora/task-graph';

export type RolesOf = (graph: TaskGraph, task: string) => Roles;

/** The method itself: the task trains, its ancestors are used but frozen, every other segment is skipped. */
export const rolesOf: RolesOf = (graph, task) => assign(graph, task, 'freeze', 'mask');

/** Ablation `noFreeze`: the ancestors train too, so finished tasks may change. */
export const rolesWithoutFreeze: RolesOf = (graph, task) => assign(graph, task, 'train', 'mask');

/** Ablation `noMask`: every other segment is used, frozen, related or not. */
export const rolesWithoutMask: RolesOf = (graph, task) => assign(graph, task, 'freeze', 'freeze');

function assign(graph: TaskGraph, task: string, ofAncestors: Role, ofOthers: Role): Roles {
  const ancestors = new Set(ancestorsOf(graph, task));
  return Object.fromEntries(
    orderTasks(graph).map((id) => [id, id === task ? 'train' : ancestors.has(id) ? ofAncestors : ofOthers]),
  );
}

/** The roles of inference: what a step uses, with nothing left to train. */
export function inferenceRoles(roles: Roles): Roles {
  return Object.fromEntries(
    Object.entries(roles).map(([task, role]) => [task, role === 'train' ? 'freeze' : role]),
  );
}
