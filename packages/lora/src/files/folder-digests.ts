/** `digests.json` in a folder: the size and SHA-256 of the files that belong to it. Without it, a folder is read unproved. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { LoraError } from '../lora-error.js';
import { differenceFrom, type FileDigest, isFileDigest } from './file-digests.js';
import { openSealed, sealJson } from './sealed-json.js';
import { writeWhole } from './write-whole.js';

/** The name of the file. */
const digestsFile = 'digests.json';

/** Path of a file, relative to the folder and with `/` → its digest. */
export type FolderDigests = Readonly<Record<string, FileDigest>>;

/** Writes `digests.json` into a folder. */
export async function writeDigests(directory: string, files: FolderDigests): Promise<void> {
  await writeWhole(join(directory, digestsFile), sealJson({ version: 1, files }));
}

/**
 * Compares the files of a folder with its `digests.json`; a folder that has none is left unproved.
 *
 * @throws LoraError (`LORA_FILE_DAMAGED`) with every file that is missing or was changed.
 */
export async function checkDigests(directory: string): Promise<void> {
  const path = join(directory, digestsFile);
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new LoraError('LORA_FILE_DAMAGED', 'checkDigests', `cannot read ${path}`, { cause });
  });
  if (text === undefined) return;
  const opened = openSealed(text);
  const problems =
    'problem' in opened
      ? [`${digestsFile} ${opened.problem}`]
      : await differences(directory, opened.value['files']);
  if (problems.length > 0)
    throw new LoraError(
      'LORA_FILE_DAMAGED',
      'checkDigests',
      `${directory} does not hold what was written to it; write or copy it again or, if you changed it on purpose, remove ${digestsFile} from it:`,
      { problems },
    );
}

/** One line for each file that is missing or was changed. */
export async function differences(directory: string, files: unknown): Promise<string[]> {
  if (typeof files !== 'object' || files === null) return ['names no files'];
  const problems: string[] = [];
  for (const [name, digest] of Object.entries(files as Record<string, unknown>)) {
    if (!isPlainPath(name) || !isFileDigest(digest)) {
      problems.push(`${name} has no digest`);
      continue;
    }
    const content = await readFile(join(directory, name)).catch(() => undefined);
    const difference = content ? differenceFrom(digest, content) : 'is missing or cannot be read';
    if (difference !== undefined) problems.push(`${name} ${difference}`);
  }
  return problems;
}

/** A path within the folder: never one that leads out of it. */
const isPlainPath = (path: string) => path.split('/').every((part) => /^[\w-][\w.-]*$/.test(part));
