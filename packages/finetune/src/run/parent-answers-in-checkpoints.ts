/** The parents' predicted answers, kept with a run's checkpoints: a resumed phase trains on those that it began with. */
import type { CheckpointStore } from '@contextlora/trainer';
import * as z from 'zod';

import type { PredictedAnswers } from '../data/parent-answers.js';
import { FinetuneError } from '../finetune-error.js';

const fileName = 'parent-answers.json';

const schema = z.record(z.string(), z.record(z.string(), z.array(z.string().nullable())));

/** Saves `predicted` (task → answers) with each checkpoint, and on loading puts that of the checkpoint in its place. */
export function withParentAnswers(
  checkpoints: CheckpointStore,
  predicted: Map<string, PredictedAnswers>,
): CheckpointStore {
  return {
    async load() {
      const checkpoint = await checkpoints.load();
      if (!checkpoint) return undefined;
      const { [fileName]: saved, ...files } = checkpoint.files;
      predicted.clear();
      for (const [task, answers] of Object.entries(saved ? decode(saved) : {})) predicted.set(task, answers);
      return { ...checkpoint, files };
    },
    save: ({ files, ...checkpoint }) =>
      checkpoints.save({
        ...checkpoint,
        files:
          predicted.size === 0
            ? files
            : {
                ...files,
                [fileName]: new TextEncoder().encode(JSON.stringify(Object.fromEntries(predicted))),
              },
      }),
  };
}

function decode(bytes: Uint8Array): z.infer<typeof schema> {
  const text = new TextDecoder().decode(bytes);
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    const what = `${fileName} of the checkpoint is not what was saved; start again without it`;
    throw new FinetuneError('FINETUNE_RUN_DAMAGED', 'trainRun', what, { cause });
  }
}
