/** The files that a command wrote, on a terminal. */
import { join } from 'node:path';

import type { WrittenFile } from '@contextlora/finetune';

/** One line per file, with the contents in one column; `below` is put before each path. */
export function listFiles(
  files: readonly WrittenFile[],
  { below = '' }: { readonly below?: string } = {},
): string[] {
  const rows = files.map(({ path, content }) => ({ shown: join(below, path), content }));
  const width = Math.max(0, ...rows.map(({ shown }) => shown.length));
  return rows.map(({ shown, content }) => `${shown.padEnd(width)}  ${content}`);
}
