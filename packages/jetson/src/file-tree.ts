/** Where readers get files from: the machine's own root, a mounted one, or a recorded board. */
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Files below one root. Paths start with `/`. */
export interface FileTree {
  /** The content; undefined where the file is absent, refused or fails to be read (as sensors that are off do). */
  read(path: string): Promise<string | undefined>;
  /** Names in a directory, sorted; none where it is absent or refused. */
  list(path: string): Promise<string[]>;
  /** Paths that were refused so far, in the order of asking: what more rights would add. */
  denied(): readonly string[];
}

/** Runs a program and returns what it prints; undefined where it is missing or fails. */
export type CommandRunner = (command: string, args: readonly string[]) => Promise<string | undefined>;

/** A path's content, or the note that it is refused. */
export type RecordedFile = string | { readonly denied: true };

/** Nothing that is read here is longer. */
const byteLimit = 1 << 20;

/** The files of a machine below `root`; reads at most 1 MiB of each. */
export function openFileTree(root = '/'): FileTree {
  const refused = new Set<string>();
  const note = (path: string, error: unknown) => {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM') refused.add(path);
  };
  return {
    async read(path) {
      try {
        const file = await open(join(root, path));
        try {
          const { buffer, bytesRead } = await file.read(Buffer.alloc(byteLimit), 0, byteLimit, 0);
          refused.delete(path);
          return buffer.toString('utf8', 0, bytesRead);
        } finally {
          await file.close();
        }
      } catch (error) {
        note(path, error);
        return undefined;
      }
    },
    async list(path) {
      try {
        return (await readdir(join(root, path))).sort(byNumber);
      } catch (error) {
        note(path, error);
        return [];
      }
    },
    denied: () => [...refused],
  };
}

/** A recorded machine: path → content. Directories are those that the paths imply. */
export function recordedFileTree(files: Readonly<Record<string, RecordedFile>>): FileTree {
  const contents = new Map(Object.entries(files));
  const refused = new Set<string>();
  const isDenied = (path: string) => {
    const entry = contents.get(path);
    if (typeof entry !== 'object') return false;
    refused.add(path);
    return true;
  };
  return {
    read(path) {
      const entry = contents.get(path);
      if (isDenied(path) || typeof entry !== 'string') return Promise.resolve(undefined);
      return Promise.resolve(entry);
    },
    list(path) {
      if (isDenied(path)) return Promise.resolve([]);
      const below = `${path.replace(/\/$/, '')}/`;
      const names = [...contents.keys()]
        .filter((name) => name.startsWith(below))
        .map((name) => name.slice(below.length).split('/')[0]!);
      return Promise.resolve([...new Set(names)].sort(byNumber));
    },
    denied: () => [...refused],
  };
}

/** `cpu2` before `cpu10`. */
const byNumber = (a: string, b: string) => a.localeCompare(b, 'en', { numeric: true });

/** The whole number in a file of one; undefined where there is none. */
export async function readNumber(tree: FileTree, path: string): Promise<number | undefined> {
  const text = (await tree.read(path))?.trim();
  return text !== undefined && /^-?\d+$/.test(text) ? Number(text) : undefined;
}

/** A file of one line, without line end and NUL. */
export async function readText(tree: FileTree, path: string): Promise<string | undefined> {
  const text = (await tree.read(path))?.replace(/\0/g, '').trim();
  return text === '' ? undefined : text;
}
