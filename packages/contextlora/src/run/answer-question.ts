/** One composed question about one image, with every answer it stands on. */
import type { LocalModel } from '@contextlora/model';
import { composeAnswers, type ComposedInput } from '@contextlora/trainer';
import type { TaskGraph } from '@contextlora/task-graph';

import { exampleOfGraph } from './examples-of.js';

export interface AnswerLine {
  readonly task: string;
  readonly answer: string;
  /** Probability of the answer among the labels; absent for free text. */
  readonly probability?: number;
}

/** The answers in topological order, the question's own last. */
export async function answerQuestion(
  model: LocalModel,
  graph: TaskGraph,
  { task, input }: { task: string; input: ComposedInput },
): Promise<AnswerLine[]> {
  const answers = await composeAnswers(model, graph, task, [input], { exampleOf: exampleOfGraph(graph) });
  return Object.entries(answers).map(([id, [prediction]]) => ({
    task: id,
    answer: prediction?.answer ?? '',
    ...(prediction?.labelLogProbabilities
      ? { probability: Math.exp(Math.max(...prediction.labelLogProbabilities)) }
      : {}),
  }));
}
