/** The rows of a run made to fit its model, with what a person should know about them. */
import { type FittedData, fitRows, type ReadTaskData, type TrainConfig } from '@contextlora/finetune';
import type { LoadedModel } from '@contextlora/model';

import { type CommandContext, Stopped } from '../command-context.js';
import { bar } from '../terminal/progress.js';

/** Prints the warnings of the data, counts the tokens of all rows, and says which were changed. */
export async function fitTrainingRows(
  base: LoadedModel,
  data: ReadTaskData,
  config: TrainConfig,
  { progress, signal }: Pick<CommandContext, 'progress' | 'signal'>,
): Promise<FittedData> {
  for (const warning of data.warnings) progress.print(`  warning: ${warning}`);
  const { longRows, maximumTokens, truncationSide } = config;
  const rows = fitRows(base, data, {
    childData: config,
    ...(longRows === undefined ? {} : { longRows }),
    ...(maximumTokens === undefined ? {} : { maximumTokens }),
    ...(truncationSide === undefined ? {} : { truncationSide }),
  });
  const most = Math.min(base.rotary.time, maximumTokens ?? Infinity);
  const limit = most < base.rotary.time ? `${most} tokens` : `the model's ${most} positions`;
  for (;;) {
    const next = await rows.next();
    if (signal.aborted) throw new Stopped();
    if (!next.done) {
      const { done, total } = next.value;
      progress.update(`  counting tokens ${bar(done, total)} ${done}/${total}`);
      continue;
    }
    for (const { task, rows: of, change, changed, of: all } of next.value.changes)
      progress.print(
        `  warning: task "${task}": ${changed} of ${all} ${of} are longer than ${limit} and were ${change}`,
      );
    return next.value;
  }
}
