/** The files below a directory, by their paths relative to it. */
import { readdir, rm, rmdir } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';

import { digestFile } from './digest-file.js';

/** Files below a directory, relative to it and with slashes; symbolic links are not followed. */
async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.flatMap((entry) =>
    entry.isDirectory() ? [] : [relative(directory, join(entry.parentPath, entry.name)).replaceAll(sep, '/')],
  );
}

/** Path → SHA-256 of the files that are wanted. */
export async function digestsBelow(
  directory: string,
  isWanted: (path: string) => boolean = () => true,
): Promise<Record<string, string>> {
  const digests: Record<string, string> = {};
  for (const path of (await filesBelow(directory)).filter(isWanted).sort())
    digests[path] = await digestFile(join(directory, path));
  return digests;
}

/** Removes the chosen files, `first` before all others, and the folders that this empties. */
export async function removeFiles(
  directory: string,
  isChosen: (path: string) => boolean,
  { first }: { readonly first: string },
): Promise<void> {
  const chosen = (await filesBelow(directory)).filter(isChosen);
  const folders = new Set<string>();
  for (const path of [...chosen.filter((one) => one === first), ...chosen]) {
    await rm(join(directory, path), { force: true });
    for (let folder = dirname(path); folder !== '.'; folder = dirname(folder)) folders.add(folder);
  }
  for (const folder of [...folders].sort((a, b) => b.length - a.length))
    await rmdir(join(directory, folder)).catch(() => undefined);
}
