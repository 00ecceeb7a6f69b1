/**
 * Composed inference: to answer a task, first answer the tasks whose answers its instruction asks for.
 */
import { orderTasks, renderInstruction, type TaskGraph, type TaskSpec } from '@contextlora/task-graph';

import { inferenceRoles, rolesOf as contextRoles, type RolesOf } from '../plan/roles-of.js';
import { TrainerError } from '../trainer-error.js';
import type { Prediction, TrainableModel } from '../training/trainable-model.js';
import {
  type AnswerCase,
  extendCases,
  likeliestCases,
  marginalPrediction,
  mergeCases,
} from './answer-cases.js';
import { answerSlots } from './task-rows.js';

/** The input of a question, before any instruction is rendered. */
export interface ComposedInput {
  readonly image?: string;
  readonly audio?: string;
  readonly text: string;
}

/**
 * How the answers of parents are passed on: `hard`, each the likeliest label; or `marginal`, as a mixture over their labels, weighted with
 * the labels' probabilities.
 */
export type AnswerMode = 'hard' | 'marginal';

export interface ComposeOptions<Example> {
  /** Makes an example for the model from a rendered prompt. */
  readonly exampleOf: (task: string, prompt: string, input: ComposedInput) => Example;
  readonly rolesOf?: RolesOf;
  /** Answers that are given (task → one per input); those tasks are not asked, and their answers count as certain. */
  readonly known?: Readonly<Record<string, readonly Prediction[]>>;
  /** @default 'hard' */
  readonly answers?: AnswerMode;
  /**
   * Of marginal answers: the most combinations of parents' answers that are followed for an input; after each task the likeliest are kept.
   * With as many as there are the mixture is exact; with fewer their probabilities are scaled up to a sum of 1. @default 32
   */
  readonly combinations?: number;
}

/**
 * Answers `target` for every input; returns all intermediate answers with the final one, in topological order.
 *
 * Only the tasks whose answers are needed run, each with its segment and those of its ancestors. Marginal answers are
 * p(y | x) = Σ p(answers of the parents | x) · p(y | x, those answers), for every task on the way.
 *
 * @throws TrainerError (`TRAINER_INPUT_INVALID`) when `combinations` is no whole number above 0.
 */
export async function composeAnswers<Example>(
  model: Pick<TrainableModel<Example>, 'predict'>,
  graph: TaskGraph,
  target: string,
  inputs: readonly ComposedInput[],
  options: ComposeOptions<Example>,
): Promise<Record<string, readonly Prediction[]>> {
  const needed = tasksNeeded(graph, target, Object.keys(options.known ?? {}));
  return askInOrder(model, graph, needed, inputs, options);
}

/** Answers, in the same way, every task that the instruction of `task` has a slot for, and not `task` itself. */
export async function answerParents<Example>(
  model: Pick<TrainableModel<Example>, 'predict'>,
  graph: TaskGraph,
  task: string,
  inputs: readonly ComposedInput[],
  options: ComposeOptions<Example>,
): Promise<Record<string, readonly Prediction[]>> {
  const needed = tasksNeeded(graph, task, Object.keys(options.known ?? {}));
  needed.delete(task);
  return askInOrder(model, graph, needed, inputs, options);
}

/** The target and, through the slots, every task whose answer it needs; what a `given` answer was based on is not needed. */
export function tasksNeeded(graph: TaskGraph, target: string, given: readonly string[] = []): Set<string> {
  const needed = new Set([target]);
  // A set may grow while it is iterated over, so the slots of slots are followed too.
  for (const task of needed)
    if (!given.includes(task) || task === target)
      for (const parent of answerSlots(graph.getNodeAttributes(task))) needed.add(parent);
  return needed;
}

async function askInOrder<Example>(
  model: Pick<TrainableModel<Example>, 'predict'>,
  graph: TaskGraph,
  needed: ReadonlySet<string>,
  inputs: readonly ComposedInput[],
  {
    exampleOf,
    rolesOf = contextRoles,
    known = {},
    answers: mode = 'hard',
    combinations = 32,
  }: ComposeOptions<Example>,
): Promise<Record<string, readonly Prediction[]>> {
  if (!(Number.isSafeInteger(combinations) && combinations >= 1))
    throw new TrainerError(
      'TRAINER_INPUT_INVALID',
      'composeAnswers',
      `combinations must be a whole number, 1 or more, got ${combinations}`,
    );
  const order = orderTasks(graph).filter((id) => needed.has(id));
  const answers: Record<string, readonly Prediction[]> = {};
  // A hard answer is the only case that is followed.
  const most = mode === 'hard' ? 1 : combinations;
  let cases: AnswerCase[][] = inputs.map(() => [{ answers: {}, logProbability: 0 }]);
  for (const [index, task] of order.entries()) {
    const spec = graph.getNodeAttributes(task);
    const given = known[task];
    const slots = answerSlots(spec);
    // Cases that this task cannot tell apart are one question.
    const asked = cases.map((ofInput) => mergeCases(ofInput, slots));
    const ask = () => {
      const examples = inputs.flatMap((input, i) =>
        (asked[i] ?? []).map(({ answers: of }) =>
          exampleOf(task, renderInstruction(spec, { text: input.text, answers: of }), input),
        ),
      );
      return model.predict(task, examples, inferenceRoles(rolesOf(graph, task)));
    };
    const predictions = given ? [] : await ask();
    let start = 0;
    const byCase = asked.map(({ length }, i): readonly Prediction[] => {
      if (given) return Array.from({ length }, () => ({ answer: given[i]?.answer ?? '' }));
      start += length;
      return predictions.slice(start - length, start);
    });
    answers[task] =
      given ?? inputs.map((_, i) => marginalPrediction(asked[i] ?? [], byCase[i] ?? [], labelsOf(spec)));
    const later = new Set(order.slice(index + 1).flatMap((id) => answerSlots(graph.getNodeAttributes(id))));
    cases = cases.map((ofInput, i) => {
      const extended = extendCases(ofInput, {
        task,
        slots,
        asked: asked[i] ?? [],
        predictions: byCase[i] ?? [],
        labels: mode === 'hard' ? [] : labelsOf(spec),
      });
      return likeliestCases(mergeCases(extended, [...later]), most);
    });
  }
  return answers;
}

const labelsOf = ({ answer }: TaskSpec): readonly string[] => (answer.type === 'label' ? answer.labels : []);
