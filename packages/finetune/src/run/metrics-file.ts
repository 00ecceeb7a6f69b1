/** The entries of a run as they happen, one JSON object per line. */
import { appendFile, open } from 'node:fs/promises';

import { withPath, writeWhole } from '@contextlora/lora/files';

import { encodeMetrics, metricsEntryOf } from './metrics-entry.js';
import type { MetricsEntry, RunEvent } from './run-event.js';

export interface MetricsFile {
  /** Keeps steps, phase ends and evaluations. A resumed run's earlier entries replace all that the file has. */
  add(event: RunEvent): void;
  /** Writes what is waiting, down to the disk. */
  flush(): Promise<void>;
}

/** Begins `path` anew and writes to it `flushEvery` lines at a time. */
export function openMetricsFile(
  path: string,
  { flushEvery = 50 }: { flushEvery?: number } = {},
): MetricsFile {
  let waiting: MetricsEntry[] = [];
  let writing: Promise<unknown> = writeWhole(path, '');
  const write = () => {
    const text = encodeMetrics(waiting);
    waiting = [];
    if (text !== '') writing = writing.then(() => appendFile(path, text).catch(withPath(path)));
    // A failure is told by flush; until then it must not count as unhandled.
    writing.catch(() => undefined);
  };
  return {
    add(event) {
      if (event.type === 'resume') {
        waiting = [];
        writing = writing.then(() => writeWhole(path, encodeMetrics(event.earlier)));
      }
      const entry = metricsEntryOf(event);
      if (entry) waiting.push(entry);
      if (waiting.length >= flushEvery) write();
    },
    async flush() {
      write();
      await writing;
      const file = await open(path, 'r+');
      try {
        await file.sync();
      } finally {
        await file.close();
      }
    },
  };
}
