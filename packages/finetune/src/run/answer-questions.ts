/** Many composed questions: those to one task are answered together, and every answer comes in its place. */
import type { Example } from '@contextlora/model';
import { renderInstruction, type TaskGraph } from '@contextlora/task-graph';
import {
  answerSlots,
  composeAnswers,
  type ComposeOptions,
  type Prediction,
  type TrainableModel,
} from '@contextlora/trainer';

import { exampleOfGraph } from '../data/examples.js';
import type { Question } from './question.js';

/** One of the answers to a question. Plain JSON. */
export interface ComposedAnswer {
  readonly task: string;
  /** The prompt, with the parents' answers filled in; of marginal answers, with the likeliest. Absent where the answer was given. */
  readonly prompt?: string;
  readonly answer: string;
  /** Whether the answer was given with the question. */
  readonly given?: true;
  /** p(answer), of a label task. */
  readonly probability?: number;
  /** Label → probability, likeliest first. */
  readonly labels?: readonly (readonly [label: string, probability: number])[];
}

type QuestionOptions = Pick<ComposeOptions<Example>, 'answers' | 'combinations'>;

/** Yields the answers to each question in turn: all that its answer builds on, in topological order, and last its own. */
export async function* answerQuestions(
  model: Pick<TrainableModel<Example>, 'predict'>,
  graph: TaskGraph,
  questions: readonly Question[],
  { atOnce = 16, ...options }: QuestionOptions & { readonly atOnce?: number } = {},
): AsyncGenerator<readonly ComposedAnswer[]> {
  for (let start = 0; start < questions.length; start += atOnce) {
    const chunk = questions.slice(start, start + atOnce);
    const answered = new Map<Question, readonly ComposedAnswer[]>();
    for (const group of alike(chunk))
      for (const [i, answers] of (await answerTogether(model, graph, group, options)).entries())
        answered.set(group[i]!, answers);
    for (const question of chunk) yield answered.get(question) ?? [];
  }
}

/** The questions that can be asked together. */
function alike(questions: readonly Question[]): Question[][] {
  const groups = new Map<string, Question[]>();
  for (const question of questions) {
    const key = JSON.stringify([question.task, Object.keys(question.given ?? {}).sort()]);
    groups.set(key, [...(groups.get(key) ?? []), question]);
  }
  return [...groups.values()];
}

/** Answers questions to one task, with answers given to the same tasks. */
async function answerTogether(
  model: Pick<TrainableModel<Example>, 'predict'>,
  graph: TaskGraph,
  questions: readonly Question[],
  options: QuestionOptions,
): Promise<ComposedAnswer[][]> {
  const [first] = questions;
  if (!first) return [];
  const known = Object.fromEntries(
    Object.keys(first.given ?? {}).map((id): [string, Prediction[]] => [
      id,
      questions.map(({ given }) => ({ answer: given?.[id] ?? '' })),
    ]),
  );
  const inputs = questions.map(({ text = '', image, audio }) => ({
    text,
    ...(image === undefined ? {} : { image }),
    ...(audio === undefined ? {} : { audio }),
  }));
  const answers = await composeAnswers(model, graph, first.task, inputs, {
    exampleOf: exampleOfGraph(graph),
    known,
    ...options,
  });
  return questions.map(({ text = '' }, i) => {
    const all = Object.fromEntries(
      Object.entries(answers).map(([id, given]) => [id, given[i]?.answer ?? '']),
    );
    return Object.entries(answers).map(([id, predictions]): ComposedAnswer => {
      const prediction = predictions[i] ?? { answer: '' };
      if (Object.hasOwn(known, id)) return { task: id, answer: prediction.answer, given: true };
      const spec = graph.getNodeAttributes(id);
      const parents = Object.fromEntries(answerSlots(spec).map((parent) => [parent, all[parent] ?? '']));
      return {
        task: id,
        prompt: renderInstruction(spec, { text, answers: parents }),
        answer: prediction.answer,
        ...(spec.answer.type === 'label' ? probabilitiesOf(spec.answer.labels, prediction) : {}),
      };
    });
  });
}

function probabilitiesOf(
  labels: readonly string[],
  { answer, labelLogProbabilities: scores }: Prediction,
): Pick<ComposedAnswer, 'probability' | 'labels'> {
  if (!scores) return {};
  const pairs = labels.map((label, i) => [label, Math.exp(scores[i] ?? -Infinity)] as const);
  return {
    probability: pairs[labels.indexOf(answer)]?.[1] ?? 0,
    labels: pairs.sort(([, p], [, q]) => q - p),
  };
}
