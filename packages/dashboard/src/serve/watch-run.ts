/** Follows a run that may be at work: yields its view whenever its files have changed. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

import type { RunView } from '../view/run-view.js';

/** The files that say how far a run is; each is replaced or grows. */
const telling = ['.contextlora-run', 'run.json', 'metrics.jsonl', join('checkpoints', 'latest.json')];

/** Ends with the signal. A view that cannot be read while files are being replaced is read again at the next look. */
export async function* watchRun(
  directory: string,
  {
    read,
    signal,
    everySeconds = 1,
  }: { readonly read: () => Promise<RunView>; readonly signal: AbortSignal; readonly everySeconds?: number },
): AsyncGenerator<RunView, void> {
  let seen = await stateOf(directory);
  for (;;) {
    const waited = await setTimeout(everySeconds * 1000, true, { signal }).catch(() => false);
    if (!waited) return;
    const now = await stateOf(directory);
    if (now === seen) continue;
    const view = await read().catch(() => undefined);
    if (!view) continue;
    seen = now;
    yield view;
  }
}

async function stateOf(directory: string): Promise<string> {
  const states = await Promise.all(
    telling.map((name) =>
      stat(join(directory, name)).then(
        ({ mtimeMs, size }) => `${mtimeMs} ${size}`,
        () => '',
      ),
    ),
  );
  return states.join('\n');
}
