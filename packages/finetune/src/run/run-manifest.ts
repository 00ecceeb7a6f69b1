/** The file that marks a directory as a run's, and says what the run was made from and which files it has written. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { ifThere, openSealed, sealJson, writeWhole } from '@contextlora/lora/files';
import * as z from 'zod';

import { FinetuneError } from '../finetune-error.js';

/** Name of the file. */
export const manifestFile = '.contextlora-run';

const text = z.record(z.string(), z.string());
const schema = z.strictObject({
  note: z.string(),
  /** What made the run: `train` or `demo`. */
  kind: z.string(),
  /** Names and digests, as in a run's fingerprint. */
  inputs: text,
  /** Whether every file is in its place. */
  isFinished: z.boolean(),
  /** Files of the run, relative to the directory, with slashes → SHA-256. */
  files: text,
  /** A change that is complete, but perhaps not yet in its place: the inputs and the files of the changed run. */
  incoming: z.strictObject({ inputs: text, files: text }).exactOptional(),
});

export type RunManifest = Omit<z.infer<typeof schema>, 'note'>;

const note = 'Made by contextlora, which may replace the files that are listed here and no others.';

/**
 * The manifest of a directory; undefined if it has none.
 *
 * @throws FinetuneError (`FINETUNE_RUN_DAMAGED`) when the file is not as it was written.
 */
export async function readManifest(directory: string): Promise<RunManifest | undefined> {
  const path = join(directory, manifestFile);
  const source = await ifThere(readFile(path, 'utf8'));
  if (source === undefined) return undefined;
  const opened = openSealed(source);
  const { data } = schema.safeParse('value' in opened ? opened.value : undefined);
  if (!data)
    throw new FinetuneError(
      'FINETUNE_RUN_DAMAGED',
      'readManifest',
      `${path} ${'problem' in opened ? opened.problem : 'was written by another version of this program'}, ` +
        "so that nobody can say which files are the run's; choose another directory, or remove this one yourself",
    );
  return data;
}

/** Writes it whole or not at all. */
export async function writeManifest(directory: string, manifest: RunManifest): Promise<void> {
  await writeWhole(join(directory, manifestFile), sealJson({ note, ...manifest }));
}
