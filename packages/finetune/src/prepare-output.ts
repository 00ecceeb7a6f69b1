/** An output directory that is ours to write: new, empty, or of an earlier run. */
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { writeWhole } from '@contextlora/lora';

/** Marks a directory as made by this command. */
const marker = '.contextlora-run';

/**
 * Makes the directory ready. An earlier run's files are removed unless `keep`.
 *
 * @throws Error when the directory holds files that are not ours.
 */
export async function prepareOutput(
  directory: string,
  { keep = false }: { keep?: boolean } = {},
): Promise<void> {
  const info = await stat(directory).catch(() => undefined);
  if (info && !info.isDirectory())
    throw new Error(`contextlora/prepareOutput: ${directory} is a file; choose another --out`);
  const entries = info ? await readdir(directory) : [];
  if (entries.length > 0 && !entries.includes(marker))
    throw new Error(
      `contextlora/prepareOutput: ${directory} holds files of something else; choose another --out or empty it`,
    );
  if (!keep) for (const entry of entries) await rm(join(directory, entry), { recursive: true });
  await mkdir(directory, { recursive: true });
  await writeWhole(
    join(directory, marker),
    'Made by the contextlora command, which may replace what is in here.\n',
  );
}
