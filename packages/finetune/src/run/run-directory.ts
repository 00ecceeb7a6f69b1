/** A directory that a run may write to: new, empty, or left by an earlier run. */
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { makeDirectory, writeWhole } from '@contextlora/lora/files';

import { FinetuneError } from '../finetune-error.js';

/** Marks a directory as made by a run. */
const marker = '.contextlora-run';

/**
 * Makes the directory ready. Removes the files of an earlier run unless `keep` is set.
 *
 * @throws FinetuneError when the directory holds files that no run has written.
 */
export async function prepareRunDirectory(
  directory: string,
  { keep = false }: { keep?: boolean } = {},
): Promise<void> {
  const taken = (what: string) =>
    new FinetuneError('FINETUNE_DIRECTORY_TAKEN', 'prepareRunDirectory', `${directory} ${what}`);
  const info = await stat(directory).catch(() => undefined);
  if (info && !info.isDirectory()) throw taken('is a file; choose another directory');
  const entries = info ? await readdir(directory) : [];
  if (entries.length > 0 && !entries.includes(marker))
    throw taken('holds files that no run has written; choose another directory or empty it');
  if (!keep) for (const entry of entries) await rm(join(directory, entry), { recursive: true });
  await makeDirectory(directory);
  await writeWhole(
    join(directory, marker),
    'Made by the contextlora command, which may replace what is in here.\n',
  );
}
