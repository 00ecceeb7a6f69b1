/** Image features computed in advance, with what is left of the time. */
import { imagesOf, type TaskData } from '@contextlora/finetune';
import type { ImageFeatures } from '@contextlora/model';

import { type CommandContext, untilStopped } from '../command-context.js';
import { bar, clockTime } from '../terminal/progress.js';

export async function warmFeatures(
  features: ImageFeatures,
  data: TaskData,
  { progress, clock, signal }: CommandContext,
): Promise<void> {
  const started = clock();
  for await (const { done, total } of untilStopped(features.warm(imagesOf(data)), signal)) {
    const left = ((clock() - started) / done) * (total - done);
    progress.update(
      `  computing image features ${bar(done, total)} ${done}/${total}  ${clockTime(left)} left`,
    );
  }
}
