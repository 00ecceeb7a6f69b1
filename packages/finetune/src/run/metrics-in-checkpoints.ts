/**
 * A run's metrics, kept with its checkpoints: what was recorded and what was trained are saved together, so that a process may die at
 * any moment and the resumed run still has every entry once.
 */
import type { CheckpointStore } from '@contextlora/trainer';

import { FinetuneError } from '../finetune-error.js';
import { decodeMetrics, encodeMetrics } from './metrics-entry.js';
import type { MetricsEntry } from './run-event.js';

const fileName = 'metrics.jsonl';

/** Saves `entries` with each checkpoint, and on loading puts those of the checkpoint in their place. */
export function withMetrics(checkpoints: CheckpointStore, entries: MetricsEntry[]): CheckpointStore {
  return {
    async load() {
      const checkpoint = await checkpoints.load();
      if (!checkpoint) return undefined;
      const { [fileName]: metrics, ...files } = checkpoint.files;
      if (!metrics)
        throw new FinetuneError(
          'FINETUNE_RUN_DAMAGED',
          'trainRun',
          `the checkpoint has no ${fileName}; start again without it`,
        );
      entries.splice(0, entries.length, ...decodeMetrics(new TextDecoder().decode(metrics)));
      return { ...checkpoint, files };
    },
    save: ({ files, ...checkpoint }) =>
      checkpoints.save({
        ...checkpoint,
        files: { ...files, [fileName]: new TextEncoder().encode(encodeMetrics(entries)) },
      }),
  };
}
