/** Files that exist whole or not at all. */
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

import { makeDirectory } from './make-directory.js';
import { withPath } from './with-path.js';

/**
 * Writes a file next to its place, flushes it to disk, renames it into place and flushes its folder, so that it outlasts a power cut;
 * creates the folder if need be.
 *
 * When it fails, for instance on a full disk, the old file stays and nothing else is left.
 */
export async function writeWhole(path: string, content: string | Uint8Array): Promise<void> {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  const writing = writeChunks(path, [bytes]);
  while (!(await writing.next()).done);
}

/** Writes a file from its parts in the same way, and yields the number of bytes written; ended early, it leaves the old file. */
export async function* writeChunks(
  path: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): AsyncGenerator<number, void> {
  const folder = dirname(resolve(path));
  const firstMade = await makeDirectory(folder);
  const temporary = `${path}.partial`;
  let isPlaced = false;
  try {
    const file = await open(temporary, 'w');
    try {
      let bytesWritten = 0;
      for await (const chunk of chunks) {
        await file.writeFile(chunk);
        yield (bytesWritten += chunk.length);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    isPlaced = true;
  } catch (error) {
    withPath(path)(error);
  } finally {
    if (!isPlaced) await rm(temporary, { force: true }).catch(() => undefined);
  }
  await flushFolders(folder, firstMade);
}

/** Flushes a folder and, where folders were made for it, each of them and the one that the first was made in. */
async function flushFolders(folder: string, firstMade: string | undefined): Promise<void> {
  const top = firstMade === undefined ? folder : dirname(resolve(firstMade));
  for (let at = folder; ; at = dirname(at)) {
    await flushFolder(at);
    if (at === top || at === dirname(at)) return;
  }
}

/** Windows and some file systems cannot open or flush a folder; a rename is as lasting there as it can be made. */
const cannotFlush = new Set(['EINVAL', 'EISDIR', 'EPERM']);

async function flushFolder(path: string): Promise<void> {
  let folder: FileHandle | undefined;
  try {
    folder = await open(path, 'r');
    await folder.sync();
  } catch (error) {
    if (!cannotFlush.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
  } finally {
    await folder?.close();
  }
}
