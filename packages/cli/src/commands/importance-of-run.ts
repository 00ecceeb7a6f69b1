/** The importance of linears, measured where the settings divide ranks by it. */
import { measureImportance, type TaskData, type TrainSettings } from '@contextlora/finetune';
import type { Importance } from '@contextlora/lora';
import type { LoadedModel } from '@contextlora/model';

import { type CommandContext, resultOf } from '../command-context.js';
import { bar } from '../terminal/progress.js';

export async function importanceOf(
  base: LoadedModel,
  data: TaskData,
  settings: TrainSettings,
  context: CommandContext,
): Promise<Importance | undefined> {
  if (settings.allocation !== 'importance') return undefined;
  return resultOf(measureImportance(base, data, settings), context, ({ done, total }) => {
    context.progress.update(`  measuring what matters to each task ${bar(done, total)} ${done}/${total}`);
  });
}
