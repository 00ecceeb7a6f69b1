/** Finds the questions that are longer than a model's context before any of them is asked. */
import type { LoadedModel } from '@contextlora/model';
import type { TaskGraph } from '@contextlora/task-graph';

import { dataInvalid } from '../data/list-problems.js';
import { openRowLengths } from '../data/row-lengths.js';
import type { RowLimits } from '../data/row-limits.js';
import type { Question } from './question.js';
import type { NumberedQuestion } from './read-questions.js';

/**
 * Opens a function that says why a question is longer than the model's context, or than the rows of its run (`maximumTokens`), or returns
 * undefined; the answers of parents count as their longest label.
 */
export function openQuestionLengths(
  model: LoadedModel,
  graph: TaskGraph,
  { maximumTokens }: Pick<RowLimits, 'maximumTokens'> = {},
): (question: Question) => string | undefined {
  const problemOf = openRowLengths(model, { graph }, maximumTokens === undefined ? {} : { maximumTokens });
  return ({ task, text = '', image, audio }) =>
    problemOf(
      { task, kind: 'test' },
      {
        text,
        ...(image === undefined ? {} : { image }),
        ...(audio === undefined ? {} : { audio }),
        parents: {},
        answer: '',
      },
    )?.message;
}

/**
 * Counts the tokens of every question as {@link openQuestionLengths} does. `path` is the file that they are from.
 *
 * @throws FinetuneError (`FINETUNE_DATA_INVALID`) listing the questions that are too long.
 */
export function requireFittingQuestions(
  model: LoadedModel,
  graph: TaskGraph,
  questions: readonly NumberedQuestion[],
  { path = 'the question', ...limits }: { readonly path?: string } & Pick<RowLimits, 'maximumTokens'> = {},
): void {
  const problemOf = openQuestionLengths(model, graph, limits);
  const problems = questions.flatMap(({ line, ...question }) => {
    const problem = problemOf(question);
    return problem === undefined ? [] : [`${line === undefined ? '' : `line ${line}: `}${problem}`];
  });
  if (problems.length > 0)
    throw dataInvalid(
      'requireFittingQuestions',
      [{ path, problems, problemCount: problems.length }],
      'shorten their text',
    );
}
