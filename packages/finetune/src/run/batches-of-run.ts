/** How the examples of a step are chosen, as settings ask for it. */
import type { LoadedModel } from '@contextlora/model';
import {
  balancedBatch,
  bucketedBatch,
  type RowList,
  sampleBatch,
  type SampleBatch,
} from '@contextlora/trainer';

import { ofTask } from './setting-values.js';
import type { TrainSettings } from './train-settings.js';

/** The choice among the training rows of a task; within a task lengths differ by what rows put into the prompt. */
export function batchesOfTask(
  { tokenizer }: Pick<LoadedModel, 'tokenizer'>,
  { batches }: Pick<TrainSettings, 'batches'>,
  { task, rows }: { readonly task: string; readonly rows: RowList },
): SampleBatch {
  switch (ofTask(batches, task)) {
    case 'byLength':
      return bucketedBatch(
        Array.from(
          rows,
          ({ text, parents, answer }) =>
            tokenizer.encode([text, ...Object.values(parents), answer].join(' ')).length,
        ),
      );
    case 'balanced':
      return balancedBatch(Array.from(rows, ({ answer }) => answer));
    default:
      return sampleBatch;
  }
}
