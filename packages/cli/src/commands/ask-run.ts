/** Questions to a run on its base, held to the limits of the rows that it was trained on. */
import {
  answerQuestions,
  type ComposedAnswer,
  type NumberedQuestion,
  type OpenedRun,
  requireFittingQuestions,
  soundSamples,
} from '@contextlora/finetune';
import type { AnswerMode } from '@contextlora/trainer';

import type { CommandContext } from '../command-context.js';
import { loadRunModel } from './run-model.js';

export interface AskRunOptions {
  readonly answers?: AnswerMode;
  /** The file that the questions are from. */
  readonly questions?: string;
  readonly model?: string;
  readonly threads: number;
}

/** Loads the model, answers, and lets it go. @throws FinetuneError listing the questions that are too long. */
export async function* askRun(
  run: OpenedRun,
  questions: readonly NumberedQuestion[],
  { answers = 'hard', questions: path, ...options }: AskRunOptions,
  context: CommandContext,
): AsyncGenerator<readonly ComposedAnswer[]> {
  const sounds = await soundSamples(questions.flatMap(({ audio }) => audio ?? []));
  await using loaded = await loadRunModel(run, { ...options, sounds }, context);
  requireFittingQuestions(loaded.base, run.graph, questions, {
    ...run.rowLimits,
    ...(path === undefined ? {} : { path }),
  });
  yield* answerQuestions(loaded.model, run.graph, questions, { answers });
}
