/** `run.json`: what a run trains, on what and how, so that it can be used and changed without being told again. */
import { readFile } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';

import type { Partition } from '@contextlora/lora';
import { openSealed, sealJson, sha256, writeWhole } from '@contextlora/lora/files';
import type { ModelDigests } from '@contextlora/model';
import type { TaskFile } from '@contextlora/task-graph';
import type { Phase, RunFingerprint } from '@contextlora/trainer';
import * as z from 'zod';

import type { RowLimits } from '../data/row-limits.js';
import { FinetuneError } from '../finetune-error.js';
import type { TrainSettings } from './train-settings.js';

/** Name of the file. */
export const descriptionFile = 'run.json';

/** Plain JSON. */
export interface RunDescription {
  /** The whole task file. */
  readonly file: TaskFile;
  /** Directory of the data files. */
  readonly dataDirectory: string;
  readonly model: RunModel;
  readonly settings: TrainSettings;
  /** What it did with rows that are too long, where it was told. */
  readonly rowLimits?: RowLimits;
  /** What the run was made from, by content: the rows of each task too. */
  readonly inputs: RunFingerprint;
  readonly partition: Partition;
  readonly phases: readonly Phase[];
}

export interface RunModel {
  /** As the user gave it: a path, a name in the Hugging Face cache, or the name of an embedded model. */
  readonly name: string;
  /** Where it was; absent for an embedded model. */
  readonly path?: string;
  readonly digests: ModelDigests;
}

/** Its values are those that were written, as the seal proves; only whether this version wrote them is left to check. */
const schema = z.looseObject({ version: z.literal(1), dataDirectory: z.string() });

/**
 * Writes the description of the run in `directory`, whose data directory is named relative to it where it lies within, and returns the
 * SHA-256 of the file; `into` is where the file is written first, if not there.
 */
export async function writeDescription(
  directory: string,
  description: RunDescription,
  { into = directory }: { readonly into?: string } = {},
): Promise<string> {
  const data = relative(directory, description.dataDirectory);
  const isWithin = data !== '..' && !data.startsWith(`..${sep}`);
  const dataDirectory = isWithin ? data : resolve(description.dataDirectory);
  const text = sealJson({ version: 1, ...description, dataDirectory });
  await writeWhole(join(into, descriptionFile), text);
  return sha256(text);
}

/**
 * Reads what {@link writeDescription} wrote, if it has the given SHA-256.
 *
 * @throws FinetuneError (`FINETUNE_RUN_DAMAGED`) when there is no such file or another one.
 */
export async function readDescription(
  directory: string,
  expected: string | undefined,
): Promise<RunDescription> {
  const path = join(directory, descriptionFile);
  const damaged = (what: string, cause?: unknown) =>
    new FinetuneError('FINETUNE_RUN_DAMAGED', 'openRun', `${path} ${what}`, { cause });
  if (expected === undefined)
    throw damaged(
      'was never written: the run was stopped before it began to train, or an earlier version made it; train again',
    );
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw damaged('cannot be read; copy the run again', cause);
  });
  const opened = openSealed(text);
  if ('problem' in opened) throw damaged(`${opened.problem}; copy the run again`);
  if (sha256(text) !== expected) throw damaged('is of another run; copy the run again');
  const { data } = schema.safeParse(opened.value);
  if (!data) throw damaged('was written by another version of this program; use that one, or train again');
  return {
    ...(data as unknown as RunDescription),
    dataDirectory: resolve(directory, data.dataDirectory),
  };
}
