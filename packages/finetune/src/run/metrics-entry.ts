/** Lines of `metrics.jsonl`: what a run's report needs of its events, as plain JSON. */
import { sha256 } from '@contextlora/lora/files';

import { FinetuneError } from '../finetune-error.js';
import type { MetricsEntry, RunEvent } from './run-event.js';

/** The entry of an event; undefined for an event that only shows progress. */
export function metricsEntryOf(event: RunEvent): MetricsEntry | undefined {
  if (event.type === 'step' || event.type === 'phaseEnd') return event;
  if (event.type !== 'evaluated') return undefined;
  const { predictions, ...rest } = event;
  return { ...rest, predictionsSha256: sha256(JSON.stringify(predictions)) };
}

/** One line per entry. */
export const encodeMetrics = (entries: readonly MetricsEntry[]): string =>
  entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');

/**
 * Reads what {@link encodeMetrics} wrote.
 *
 * @throws FinetuneError (`FINETUNE_RUN_DAMAGED`) when a line is anything else.
 */
export function decodeMetrics(text: string): MetricsEntry[] {
  return text.split('\n').flatMap((line, index) => {
    if (line === '') return [];
    const entry = parsed(line) as { readonly type?: unknown } | null | undefined;
    if (!entryTypes.has(entry?.type))
      throw new FinetuneError(
        'FINETUNE_RUN_DAMAGED',
        'decodeMetrics',
        `line ${index + 1} of the metrics in the checkpoint is not an entry: ${line.slice(0, 80)}`,
      );
    return [entry as MetricsEntry];
  });
}

const entryTypes: ReadonlySet<unknown> = new Set(['step', 'phaseEnd', 'evaluated']);

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
