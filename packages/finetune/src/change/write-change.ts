/** The files of a changed run. */
import type { FreezeCertificate } from '@contextlora/trainer';

import { type RunDescription, writeDescription } from '../run/run-description.js';
import { type FinishedRun, type WrittenFile, writeRun } from '../run/write-run.js';
import { historyFile, readHistory, type RunChange, writeHistory } from './run-history.js';

export interface ChangedRun extends FinishedRun {
  readonly description: RunDescription;
  readonly change: RunChange;
}

/** Writes the changed run of `directory` below `into`, with its history, and returns what a reader finds there. */
export async function writeChange(
  into: string,
  { description, change, ...finished }: ChangedRun,
  { directory }: { readonly directory: string },
): Promise<readonly WrittenFile[]> {
  requireKept(change.plan.kept, change);
  const written = await writeRun(into, finished);
  await writeDescription(directory, description, { into });
  await writeHistory(into, [...(await readHistory(directory)), change]);
  return [...written, { path: historyFile, content: 'what was changed, and when' }];
}

/** The last line of defence: every phase has been certified before. */
function requireKept(kept: readonly string[], { before, after }: Pick<RunChange, 'before' | 'after'>): void {
  const differs = (one: FreezeCertificate, other: FreezeCertificate) => (task: string) =>
    one[task] === undefined || one[task] !== other[task];
  const moved = kept.filter(differs(before, after));
  if (moved.length > 0) throw new Error(`internal: the change moved the segments of ${moved.join(', ')}`);
}
