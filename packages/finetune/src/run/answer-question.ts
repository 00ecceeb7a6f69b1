/** One composed question about one image, with every answer it stands on. */
import type { LocalModel } from '@contextlora/model';
import { renderInstruction, type TaskGraph } from '@contextlora/task-graph';
import { answerSlots, composeAnswers, type ComposedInput } from '@contextlora/trainer';

import { exampleOfGraph } from '../data/examples.js';

/** Plain JSON: another program can ask the same and compare. */
export interface AnswerLine {
  readonly task: string;
  /** What the model was asked, the parents' answers filled in. */
  readonly prompt: string;
  readonly answer: string;
  /** For a label task, in the order of the labels. */
  readonly labels?: readonly string[];
  readonly labelLogProbabilities?: readonly number[];
}

/** The answers in topological order, the question's own last. */
export async function answerQuestion(
  model: LocalModel,
  graph: TaskGraph,
  { task, input }: { task: string; input: ComposedInput },
): Promise<AnswerLine[]> {
  const answers = await composeAnswers(model, graph, task, [input], { exampleOf: exampleOfGraph(graph) });
  const given = Object.fromEntries(Object.entries(answers).map(([id, [first]]) => [id, first?.answer ?? '']));
  return Object.entries(answers).map(([id, [prediction]]): AnswerLine => {
    const spec = graph.getNodeAttributes(id);
    const parents = Object.fromEntries(answerSlots(spec).map((parent) => [parent, given[parent] ?? '']));
    return {
      task: id,
      prompt: renderInstruction(spec, { text: input.text, answers: parents }),
      answer: prediction?.answer ?? '',
      ...(spec.answer.type === 'label' && prediction?.labelLogProbabilities
        ? { labels: spec.answer.labels, labelLogProbabilities: prediction.labelLogProbabilities }
        : {}),
    };
  });
}
