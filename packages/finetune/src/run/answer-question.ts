/** One composed question about one image, with every answer that its own answer builds on. */
import type { Example } from '@contextlora/model';
import { renderInstruction, type TaskGraph } from '@contextlora/task-graph';
import {
  answerSlots,
  composeAnswers,
  type ComposedInput,
  type ComposeOptions,
  type TrainableModel,
} from '@contextlora/trainer';

import { exampleOfGraph } from '../data/examples.js';

/** Plain JSON, so that another program can ask the same question and compare. */
export interface AnswerLine {
  readonly task: string;
  /** The prompt, with the parents' answers filled in; of marginal answers, with the likeliest. */
  readonly prompt: string;
  readonly answer: string;
  /** Of a label task. */
  readonly labels?: readonly string[];
  /** In the order of `labels`. */
  readonly labelLogProbabilities?: readonly number[];
}

export interface QuestionOptions extends Pick<ComposeOptions<Example>, 'known' | 'answers' | 'combinations'> {
  readonly task: string;
  readonly input: ComposedInput;
}

/** The answers in topological order; the answer to the question comes last. */
export async function answerQuestion(
  model: Pick<TrainableModel<Example>, 'predict'>,
  graph: TaskGraph,
  { task, input, ...options }: QuestionOptions,
): Promise<AnswerLine[]> {
  const answers = await composeAnswers(model, graph, task, [input], {
    exampleOf: exampleOfGraph(graph),
    ...options,
  });
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
