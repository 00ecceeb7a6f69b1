/** What a run has recorded of the tasks that a change keeps. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { RunFingerprint } from '@contextlora/trainer';

import { decodeMetrics } from '../run/metrics-entry.js';
import type { MetricsEntry } from '../run/run-event.js';
import { rowsInput } from '../run/run-inputs.js';

/**
 * All entries of a run; of one that may be training meanwhile (`isGrowing`), without a line that is only half written.
 *
 * @throws FinetuneError (`FINETUNE_RUN_DAMAGED`) when a line is no entry.
 */
export async function readMetrics(
  directory: string,
  { isGrowing = false }: { readonly isGrowing?: boolean } = {},
): Promise<MetricsEntry[]> {
  const text = await readFile(join(directory, 'metrics.jsonl'), 'utf8');
  return decodeMetrics(isGrowing ? text.slice(0, text.lastIndexOf('\n') + 1) : text);
}

/**
 * The entries that stay true: the training of the kept tasks, and their evaluations on rows that have not changed; those at the end of the
 * run are made again, to be compared.
 */
export function carriedMetrics(
  entries: readonly MetricsEntry[],
  {
    kept,
    before,
    after,
  }: { readonly kept: readonly string[]; readonly before: RunFingerprint; readonly after: RunFingerprint },
): MetricsEntry[] {
  return entries.filter((entry) => {
    switch (entry.type) {
      case 'step':
        return kept.includes(entry.task);
      case 'phaseEnd':
        return entry.tasks.some((task) => kept.includes(task));
      case 'evaluated': {
        const { task, when, test } = entry;
        const rows = rowsInput(when === 'validation' ? 'validation' : { test }, task);
        return kept.includes(task) && when !== 'final' && before[rows] === after[rows];
      }
      default:
        return entry satisfies never;
    }
  });
}
