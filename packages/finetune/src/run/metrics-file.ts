/** The entries of a run as they happen, in files that others can read meanwhile. */
import { appendFile, open } from 'node:fs/promises';
import { join } from 'node:path';

import { withPath, writeWhole } from '@contextlora/lora/files';

import { encodeMetrics, metricsEntryOf } from './metrics-entry.js';
import type { MetricsEntry, RunEvent } from './run-event.js';
import { openTensorboardEncoder, tensorboardHead } from './tensorboard-records.js';

export interface MetricsFile {
  /** Keeps steps, phase ends and evaluations. Earlier entries, of a resumed run or of tasks that a change keeps, replace all that the file has. */
  add(event: RunEvent): void;
  /** Writes what is waiting, down to the disk. */
  flush(): Promise<void>;
}

interface MetricsFileOptions {
  /** @default 50 */
  readonly flushEvery?: number;
}

/** Begins `path` anew and writes to it, `flushEvery` entries at a time, one JSON object per line. */
export const openMetricsFile = (path: string, options: MetricsFileOptions = {}): MetricsFile =>
  openEntryFile(path, { head: () => '', openEncoder: () => encodeMetrics }, options);

/** The same as a file that TensorBoard reads; its name must contain `tfevents`. */
export const openTensorboardFile = (path: string, options: MetricsFileOptions = {}): MetricsFile =>
  openEntryFile(path, { head: tensorboardHead, openEncoder: openTensorboardEncoder }, options);

/** Both in the directory of a run: `metrics.jsonl` and `tensorboard/events.out.tfevents`. */
export function openRunMetrics(directory: string): MetricsFile {
  const files = [
    openMetricsFile(join(directory, 'metrics.jsonl')),
    openTensorboardFile(join(directory, 'tensorboard', 'events.out.tfevents')),
  ];
  return {
    add(event) {
      for (const file of files) file.add(event);
    },
    async flush() {
      for (const file of files) await file.flush();
    },
  };
}

/** How entries are written; an encoder may count what it has been given. */
interface EntryForm {
  readonly head: () => string | Uint8Array;
  readonly openEncoder: () => (entries: readonly MetricsEntry[]) => string | Uint8Array;
}

function openEntryFile(
  path: string,
  { head, openEncoder }: EntryForm,
  { flushEvery = 50 }: MetricsFileOptions,
): MetricsFile {
  let waiting: MetricsEntry[] = [];
  let encode = openEncoder();
  let writing: Promise<unknown> = writeWhole(path, head());
  const write = () => {
    const content = encode(waiting);
    waiting = [];
    if (content.length > 0) writing = writing.then(() => appendFile(path, content).catch(withPath(path)));
    // A failure is told by flush; until then it must not count as unhandled.
    writing.catch(() => undefined);
  };
  return {
    add(event) {
      if ('earlier' in event) {
        encode = openEncoder();
        waiting = [...event.earlier];
        writing = writing.then(() => writeWhole(path, head()));
        write();
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
