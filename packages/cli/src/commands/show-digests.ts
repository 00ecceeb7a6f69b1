/** The digests of a run's inputs, with progress where there is much to read. */
import { digestRows, type TaskData } from '@contextlora/finetune';
import { digestModel, type ModelDigests } from '@contextlora/model';
import type { RunFingerprint } from '@contextlora/trainer';

import { type CommandContext, resultOf } from '../command-context.js';
import { bar } from '../terminal/progress.js';

type Showing = Pick<CommandContext, 'progress' | 'signal'>;

/** Digests of the files of a model. */
export const showModelDigests = (path: string, context: Showing): Promise<ModelDigests> =>
  resultOf(digestModel(path), context, ({ doneBytes, totalBytes }) => {
    if (totalBytes < leastShown.bytes) return;
    const [done, total] = [doneBytes, totalBytes].map((bytes) => Math.round(bytes / 1e6));
    context.progress.update(
      `  reading the model for its digest ${bar(doneBytes, totalBytes)} ${done}/${total} MB`,
    );
  });

/** Digests of a run's rows, their pictures and sounds. */
export const showRowDigests = (data: TaskData, context: Showing): Promise<RunFingerprint> =>
  resultOf(digestRows(data), context, ({ done, total }) => {
    if (total < leastShown.pictures) return;
    context.progress.update(
      `  reading pictures and sounds for their digests ${bar(done, total)} ${done}/${total}`,
    );
  });

/** Below these the reading is over in a moment. */
const leastShown = { bytes: 5e8, pictures: 2000 };
