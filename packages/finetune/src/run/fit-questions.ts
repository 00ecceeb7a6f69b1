/** Finds the questions that are longer than a model's context before any of them is asked. */
import type { LoadedModel } from '@contextlora/model';
import type { TaskGraph } from '@contextlora/task-graph';

import { dataInvalid } from '../data/list-problems.js';
import { openRowLengths } from '../data/row-lengths.js';
import type { NumberedQuestion } from './read-questions.js';

/**
 * Counts the tokens of every question for a model; the answers of parents count as their longest label. `path` is the file that they are from.
 *
 * @throws FinetuneError (`FINETUNE_DATA_INVALID`) listing the questions that are too long.
 */
export function requireFittingQuestions(
  model: LoadedModel,
  graph: TaskGraph,
  questions: readonly NumberedQuestion[],
  { path = 'the question' }: { readonly path?: string } = {},
): void {
  const problemOf = openRowLengths(model, { graph });
  const problems = questions.flatMap(({ task, text = '', image, line }) => {
    const row = { text, ...(image === undefined ? {} : { image }), parents: {}, answer: '' };
    const problem = problemOf({ task, kind: 'test' }, row);
    return problem ? [`${line === undefined ? '' : `line ${line}: `}${problem.message}`] : [];
  });
  if (problems.length > 0)
    throw dataInvalid(
      'requireFittingQuestions',
      [{ path, problems, problemCount: problems.length }],
      'shorten their text',
    );
}
