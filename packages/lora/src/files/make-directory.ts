import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Makes a directory and its missing parents; succeeds if it exists.
 *
 * Not `mkdir(path, { recursive: true })`, which never returns where a file system answers ENOENT to a new name in a directory that exists,
 * as /proc does.
 */
export async function makeDirectory(path: string): Promise<void> {
  if (await makeOne(path)) return;
  await makeDirectory(dirname(path));
  if (!(await makeOne(path, { hasParent: true })))
    throw new Error(`internal: ${path} has a parent and has none`);
}

/** Whether the directory exists now; false if its parent is missing. */
async function makeOne(path: string, { hasParent = dirname(path) === path } = {}): Promise<boolean> {
  try {
    await mkdir(path);
  } catch (error) {
    if (await isDirectory(path)) return true;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' && !hasParent) return false;
    throw error;
  }
  return true;
}

const isDirectory = (path: string) =>
  stat(path).then(
    (info) => info.isDirectory(),
    () => false,
  );
