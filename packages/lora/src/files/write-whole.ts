/** Files that exist whole or not at all. */
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

import { makeDirectory } from './make-directory.js';

/**
 * Writes a file next to its place, flushes it to disk, then renames it into place; creates the folder if need be.
 *
 * When it fails, for instance on a full disk, the old file stays and nothing else is left.
 */
export async function writeWhole(path: string, content: string | Uint8Array): Promise<void> {
  await makeDirectory(dirname(path));
  const temporary = `${path}.partial`;
  try {
    const file = await open(temporary, 'w');
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    // The system does not say which file a write was for.
    if (error instanceof Error && 'syscall' in error) throw Object.assign(error, { path });
    throw error;
  }
}
