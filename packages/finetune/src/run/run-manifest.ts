/** The file that marks a directory as a run's, and says what the run was made from and which files it has written. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { writeWhole } from '@contextlora/lora/files';
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
  let source: string;
  try {
    source = await readFile(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw cause;
  }
  try {
    const { sha256, ...rest } = JSON.parse(source) as Record<string, unknown>;
    const manifest = schema.parse(rest);
    if (sha256 !== digestOf(manifest)) throw new Error('its SHA-256 differs');
    return manifest;
  } catch (cause) {
    throw new FinetuneError(
      'FINETUNE_RUN_DAMAGED',
      'readManifest',
      `${path} was changed, damaged, or written by another version of this program, so nobody can say which files are the run's; ` +
        'choose another directory, or remove this one yourself',
      { cause },
    );
  }
}

/** Writes it whole or not at all. */
export async function writeManifest(directory: string, manifest: RunManifest): Promise<void> {
  const content = { note, ...manifest };
  await writeWhole(
    join(directory, manifestFile),
    `${JSON.stringify({ ...content, sha256: digestOf(content) }, null, 2)}\n`,
  );
}

const digestOf = (content: object) =>
  createHash('sha256')
    .update(JSON.stringify(Object.entries(content).sort(([a], [b]) => (a < b ? -1 : 1))))
    .digest('hex');
