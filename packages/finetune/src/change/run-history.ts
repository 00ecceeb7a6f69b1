/** `history.json`: what became of a run since it was trained first. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { openSealed, sealJson, writeWhole } from '@contextlora/lora/files';
import type { FreezeCertificate } from '@contextlora/trainer';
import * as z from 'zod';

import { FinetuneError } from '../finetune-error.js';
import type { ChangePlan } from './plan-change.js';

/** Name of the file; a run that was never changed has none. */
export const historyFile = 'history.json';

/** One change. Plain JSON. */
export interface RunChange {
  /** The command that made it, such as `add-task`. */
  readonly command: string;
  /** When it was complete, as the caller's clock said (ISO 8601); nothing else depends on it. */
  readonly at: string;
  readonly plan: ChangePlan;
  /** Every input that differs, with what it was and what it is. */
  readonly inputs: readonly string[];
  /** Task → SHA-256 of its segment, before and after: equal for what was kept. */
  readonly before: FreezeCertificate;
  readonly after: FreezeCertificate;
}

/** Its values are those that were written, as the seal proves. */
const schema = z.strictObject({
  version: z.literal(1),
  changes: z.array(z.looseObject({ command: z.string() })),
});

/**
 * The changes of a run, the first one first.
 *
 * @throws FinetuneError (`FINETUNE_RUN_DAMAGED`) when the file is not as it was written.
 */
export async function readHistory(directory: string): Promise<readonly RunChange[]> {
  const path = join(directory, historyFile);
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return [];
  const opened = openSealed(text);
  const { data } = schema.safeParse('value' in opened ? opened.value : undefined);
  if (!data)
    throw new FinetuneError(
      'FINETUNE_RUN_DAMAGED',
      'readHistory',
      `${path} ${'problem' in opened ? opened.problem : 'was written by another version of this program'}; copy the run again`,
    );
  return data.changes as unknown as readonly RunChange[];
}

/** Writes the whole history. */
export async function writeHistory(directory: string, changes: readonly RunChange[]): Promise<void> {
  await writeWhole(join(directory, historyFile), sealJson({ version: 1, changes }));
}

/** A change in one line: `add-task on 2026-11-28T10:00:00.000Z: fog added; vehicle, weather kept`. */
export function describeChange({
  command,
  at,
  plan: { kept, retrained, added, removed },
}: RunChange): string {
  const parts = { added, 'trained again': retrained.map(({ task }) => task), removed, kept };
  const told = Object.entries(parts).filter(([, tasks]) => tasks.length > 0);
  return `${command} on ${at}: ${told.map(([what, tasks]) => `${tasks.join(', ')} ${what}`).join('; ')}`;
}
