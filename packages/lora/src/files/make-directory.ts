import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Makes a directory and its missing parents; succeeds if it exists. Returns the first directory that was made, if any was.
 *
 * Not `mkdir(path, { recursive: true })`, which never returns where a file system answers ENOENT to a new name in a directory that exists,
 * as /proc does.
 */
export async function makeDirectory(path: string): Promise<string | undefined> {
  const made = await makeOne(path);
  if (made !== 'noParent') return made === 'made' ? path : undefined;
  const first = await makeDirectory(dirname(path));
  const second = await makeOne(path, { hasParent: true });
  return first ?? (second === 'made' ? path : undefined);
}

/** Makes a directory whose parent exists, unless that is missing. */
async function makeOne(
  path: string,
  { hasParent = dirname(path) === path } = {},
): Promise<'made' | 'existed' | 'noParent'> {
  try {
    await mkdir(path);
  } catch (error) {
    if (await isDirectory(path)) return 'existed';
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' && !hasParent) return 'noParent';
    throw error;
  }
  return 'made';
}

const isDirectory = (path: string) =>
  stat(path).then(
    (info) => info.isDirectory(),
    () => false,
  );
