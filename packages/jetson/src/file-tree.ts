/** Where readers find a machine's files: below its own root, below a mounted one, or in a recording. */
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Files below one root; paths start with `/`. */
export interface FileTree {
  /** The content, or undefined if the file is absent, access is denied or reading fails (as for sensors that are off). */
  read(path: string): Promise<string | undefined>;
  /** Sorted names in a directory; empty if it is absent or access is denied. */
  list(path: string): Promise<string[]>;
  /** Paths to which access was denied so far, in the order of the requests. */
  denied(): readonly string[];
}

/** Runs a program and returns its output, or undefined if it is missing or fails. */
export type CommandRunner = (command: string, args: readonly string[]) => Promise<string | undefined>;

/** A file's content, or a note that access to it is denied. */
export type RecordedFile = string | { readonly denied: true };

/** No file read by this package is longer. */
const maxBytes = 1 << 20;

/** Opens the files of a machine below `root`, of which at most 1 MiB each is read. */
export function openFileTree(root = '/'): FileTree {
  const denied = new Set<string>();
  const noteDenied = (path: string, error: unknown) => {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM') denied.add(path);
  };
  return {
    async read(path) {
      try {
        const file = await open(join(root, path));
        try {
          const { buffer, bytesRead } = await file.read(Buffer.alloc(maxBytes), 0, maxBytes, 0);
          denied.delete(path);
          return buffer.toString('utf8', 0, bytesRead);
        } finally {
          await file.close();
        }
      } catch (error) {
        noteDenied(path, error);
        return undefined;
      }
    },
    async list(path) {
      try {
        return (await readdir(join(root, path))).sort(byNumber);
      } catch (error) {
        noteDenied(path, error);
        return [];
      }
    },
    denied: () => [...denied],
  };
}

/** Presents recorded files (path → content) as a tree; directories follow from the paths. */
export function recordedFileTree(files: Readonly<Record<string, RecordedFile>>): FileTree {
  const contents = new Map(Object.entries(files));
  const denied = new Set<string>();
  const isDenied = (path: string) => {
    if (typeof contents.get(path) !== 'object') return false;
    denied.add(path);
    return true;
  };
  return {
    read(path) {
      const content = contents.get(path);
      if (isDenied(path) || typeof content !== 'string') return Promise.resolve(undefined);
      return Promise.resolve(content);
    },
    list(path) {
      if (isDenied(path)) return Promise.resolve([]);
      const directory = `${path.replace(/\/$/, '')}/`;
      const names = [...contents.keys()]
        .filter((name) => name.startsWith(directory))
        .map((name) => name.slice(directory.length).replace(/\/.*/s, ''));
      return Promise.resolve([...new Set(names)].sort(byNumber));
    },
    denied: () => [...denied],
  };
}

/** `cpu2` before `cpu10`. */
const byNumber = (a: string, b: string) => a.localeCompare(b, 'en', { numeric: true });

/** Reads a file that holds one whole number; undefined if it holds anything else. */
export async function readNumber(tree: FileTree, path: string): Promise<number | undefined> {
  const text = (await tree.read(path))?.trim();
  return text !== undefined && /^-?\d+$/.test(text) ? Number(text) : undefined;
}

/** Reads a file of one line without its line end and NUL characters; undefined if it is empty. */
export async function readText(tree: FileTree, path: string): Promise<string | undefined> {
  const text = (await tree.read(path))?.replace(/\0/g, '').trim();
  return text === '' ? undefined : text;
}
