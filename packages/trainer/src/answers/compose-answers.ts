/**
 * Composed inference: to answer a task, first answer the tasks whose answers its instruction asks for.
 */
import { orderTasks, renderInstruction, type TaskGraph } from '@contextlora/task-graph';

import { inferenceRoles, rolesOf as contextRoles, type RolesOf } from '../plan/roles-of.js';
import type { Prediction, TrainableModel } from '../training/trainable-model.js';
import { answerSlots } from './task-rows.js';

/** The input of a question, before any instruction is rendered. */
export interface ComposedInput {
  readonly image?: string;
  readonly text: string;
}

export interface ComposeOptions<Example> {
  /** Makes an example for the model from a rendered prompt. */
  readonly exampleOf: (task: string, prompt: string, input: ComposedInput) => Example;
  readonly rolesOf?: RolesOf;
  /** Answers that are already known (task → one per input); those tasks are not asked again. */
  readonly known?: Readonly<Record<string, readonly Prediction[]>>;
}

/**
 * Answers `target` for every input; returns all intermediate answers with the final one, in topological order.
 *
 * Only the tasks whose answers are needed run, each with its segment and those of its ancestors.
 */
export async function composeAnswers<Example>(
  model: Pick<TrainableModel<Example>, 'predict'>,
  graph: TaskGraph,
  target: string,
  inputs: readonly ComposedInput[],
  { exampleOf, rolesOf = contextRoles, known = {} }: ComposeOptions<Example>,
): Promise<Record<string, readonly Prediction[]>> {
  const needed = tasksNeeded(graph, target);
  const answers: Record<string, readonly Prediction[]> = {};
  for (const task of orderTasks(graph).filter((id) => needed.has(id))) {
    const spec = graph.getNodeAttributes(task);
    answers[task] =
      known[task] ??
      (await model.predict(
        task,
        inputs.map((input, i) => {
          const given = answerSlots(spec).map(
            (parent) => [parent, answers[parent]?.[i]?.answer ?? ''] as const,
          );
          const prompt = renderInstruction(spec, { text: input.text, answers: Object.fromEntries(given) });
          return exampleOf(task, prompt, input);
        }),
        inferenceRoles(rolesOf(graph, task)),
      ));
  }
  return answers;
}

/** The target and, through the slots, every task whose answer it needs. */
export function tasksNeeded(graph: TaskGraph, target: string): Set<string> {
  const needed = new Set([target]);
  // A set may grow while it is iterated over, so the slots of slots are followed too.
  for (const task of needed)
    for (const parent of answerSlots(graph.getNodeAttributes(task))) needed.add(parent);
  return needed;
}
