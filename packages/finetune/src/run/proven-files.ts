/** Whether the files of a run are as it wrote them. */
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';

import { ifThere } from '@contextlora/lora/files';
import { FinetuneError } from '../finetune-error.js';
import { digestFile } from './digest-file.js';

/** Compares files with their SHA-256; `files` are relative to the directory. */
export async function provenFiles(
  directory: string,
  files: Readonly<Record<string, string>>,
): Promise<{ readonly missing: readonly string[]; readonly changed: readonly string[] }> {
  const [missing, changed]: [string[], string[]] = [[], []];
  for (const [path, sha256] of Object.entries(files)) {
    const now = await digestFile(join(directory, path)).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      return undefined;
    });
    if (now === undefined) missing.push(path);
    else if (now !== sha256) changed.push(path);
  }
  return { missing, changed };
}

/**
 * Checks that nobody else's file is where a run is about to write.
 *
 * @throws FinetuneError (`FINETUNE_DIRECTORY_TAKEN`) naming the files.
 */
export async function requireFree(
  directory: string,
  paths: readonly string[],
  { files }: { readonly files: Readonly<Record<string, string>> },
): Promise<void> {
  const others: string[] = [];
  for (const path of paths)
    if (!Object.hasOwn(files, path) && (await ifThere(lstat(join(directory, path))))) others.push(path);
  if (others.length > 0)
    throw new FinetuneError(
      'FINETUNE_DIRECTORY_TAKEN',
      'openRunDirectory',
      `${directory} has files in the place of results, and this run has not written them: ${others.join(', ')}; ` +
        'move them, then --resume',
      { problems: others },
    );
}

/** The error about files of a run that are not as it wrote them. */
export const damagedRun = (what: string, problems: readonly string[]): FinetuneError =>
  new FinetuneError(
    'FINETUNE_RUN_DAMAGED',
    'openRunDirectory',
    [what, ...problems.map((one) => `  ${one}`)].join('\n'),
    { problems },
  );
