/** Features of pictures and sounds computed in advance, with what is left of the time. */
import { imagesOf, soundsOf, type TaskData } from '@contextlora/finetune';
import type { ImageFeatures } from '@contextlora/model';

import { type CommandContext, untilStopped } from '../command-context.js';
import { bar, clockTime } from '../terminal/progress.js';

export async function warmFeatures(
  features: ImageFeatures,
  data: TaskData,
  { progress, clock, signal }: CommandContext,
): Promise<void> {
  for (const [what, warming] of [
    ['image', features.warm(imagesOf(data))],
    ['audio', features.sounds.warm(soundsOf(data))],
  ] as const) {
    const started = clock();
    for await (const { done, total } of untilStopped(warming, signal)) {
      const left = ((clock() - started) / done) * (total - done);
      progress.update(
        `  computing ${what} features ${bar(done, total)} ${done}/${total}  ${clockTime(left)} left`,
      );
    }
  }
}
