/** How well the base answers before training, shown while it goes on. */
import { evaluateBase, type PreparedRun, type TaskEvaluation } from '@contextlora/finetune';

import { type CommandContext, resultOf } from '../command-context.js';
import { bar } from '../terminal/progress.js';

export const evaluateOnBase = (
  run: PreparedRun,
  context: CommandContext,
): Promise<Map<string, TaskEvaluation>> =>
  resultOf(evaluateBase(run), context, ({ task, done, total }) => {
    context.progress.update(`  evaluating ${task} on the base ${bar(done, total)} ${done}/${total}`);
  });
