/** Training steps and evaluations as they happen, one JSON object per line. */
import { appendFile } from 'node:fs/promises';
import { dirname } from 'node:path';

import { makeDirectory } from '@contextlora/lora/files';

import type { RunEvent } from './train-run.js';

export interface MetricsFile {
  /** Keeps steps and evaluations; ignores other events. */
  add(event: RunEvent): void;
  flush(): Promise<void>;
}

/** Appends to `path`, `flushEvery` lines at a time. */
export function openMetricsFile(
  path: string,
  { flushEvery = 50 }: { flushEvery?: number } = {},
): MetricsFile {
  let waiting: string[] = [];
  let writing: Promise<unknown> = makeDirectory(dirname(path));
  const flush = async () => {
    const lines = waiting;
    waiting = [];
    if (lines.length > 0) writing = writing.then(() => appendFile(path, `${lines.join('\n')}\n`));
    await writing;
  };
  return {
    add(event) {
      const entry = entryOf(event);
      if (!entry) return;
      waiting.push(JSON.stringify(entry));
      if (waiting.length >= flushEvery) void flush();
    },
    flush,
  };
}

function entryOf(event: RunEvent): object | undefined {
  if (event.type === 'step') return event;
  if (event.type !== 'evaluated') return undefined;
  const { type, task, when, test, accuracy } = event;
  return { type, task, when, test, accuracy };
}
