/** The change of a run, made in a folder of the run's directory: until it is complete, the run stays what it was. */
import { copyFile, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { makeDirectory, openSealed, sealJson, writeWhole } from '@contextlora/lora/files';
import { inputDifferences, type RunFingerprint } from '@contextlora/trainer';
import * as z from 'zod';

import { FinetuneError, type FinetuneErrorCode } from '../finetune-error.js';
import { digestsBelow } from '../run/files-below.js';
import { changeFolder, changeResults, installChange } from '../run/install-change.js';
import { lockDirectory } from '../run/lock-directory.js';
import { damagedRun, provenFiles, requireFree } from '../run/proven-files.js';
import { readManifest, type RunManifest, writeManifest } from '../run/run-manifest.js';
import type { WrittenFile } from '../run/write-run.js';

export interface ChangeDirectoryOptions {
  /** The inputs of the run that the change was planned for. */
  readonly of: RunFingerprint;
  /** Whether to go on with a change that was stopped. */
  readonly resume?: boolean;
  /** Whether to begin in place of a change that was stopped. */
  readonly force?: boolean;
}

export interface ChangeDirectory extends AsyncDisposable {
  /** Where the change keeps its metrics and checkpoints. */
  readonly folder: string;
  /** Whether a change of the run was stopped, which goes on or is replaced. */
  readonly isBegun: boolean;
  /**
   * Begins the change that these inputs describe; `begun`: one with the same inputs goes on.
   *
   * @throws FinetuneError (`FINETUNE_RUN_FOREIGN`) listing the inputs that differ from those of the change to resume.
   */
  begin(fingerprint: RunFingerprint): Promise<'new' | 'begun'>;
  /**
   * Puts what `write` writes below a temporary directory, with the metrics, in place of all files of the run: all of it or, as long as
   * `write` has not succeeded, nothing. `inputs` are those of the changed run.
   */
  finish(
    inputs: RunFingerprint,
    write: (directory: string) => Promise<readonly WrittenFile[]>,
  ): Promise<readonly WrittenFile[]>;
}

/**
 * Locks the directory of a finished run in order to change the run; leaving its scope unlocks it.
 *
 * @throws FinetuneError `FINETUNE_RUN_UNFINISHED` when the run was stopped, `FINETUNE_RUN_DAMAGED` when its files are not as it wrote them,
 * `FINETUNE_RUN_FOREIGN` when it is another than the change was planned for, `FINETUNE_DIRECTORY_TAKEN` when a change of it was stopped
 * and is neither to be resumed nor replaced; `FINETUNE_RUN_LOCKED` while another process works in it.
 */
export async function openChangeDirectory(
  directory: string,
  { of, resume = false, force = false }: ChangeDirectoryOptions,
): Promise<ChangeDirectory> {
  const unlock = await lockDirectory(directory);
  try {
    const manifest = await requireWhole(directory, of);
    const begun = await readBegun(directory);
    if (begun && !resume && !force)
      throw refusal(
        'FINETUNE_DIRECTORY_TAKEN',
        `a change of the run in ${directory} was stopped; --resume goes on with it, --force begins this one in its place. The run itself is as it was`,
      );
    const folder = join(directory, changeFolder);
    return {
      folder,
      isBegun: begun !== undefined,
      async begin(fingerprint) {
        if (begun && !force) {
          requireSame(directory, begun, fingerprint);
          return 'begun';
        }
        await rm(folder, { recursive: true, force: true });
        await writeWhole(join(folder, changeFile), sealJson({ version: 1, fingerprint }));
        return 'new';
      },
      async finish(inputs, write) {
        const staging = join(directory, changeResults);
        await rm(staging, { recursive: true, force: true });
        await makeDirectory(staging);
        const written = await write(staging);
        for (const file of metricsFiles) {
          await makeDirectory(dirname(join(staging, file)));
          await copyFile(join(folder, file), join(staging, file));
        }
        const files = await digestsBelow(staging);
        await requireFree(directory, Object.keys(files), manifest);
        const incoming = { inputs, files };
        // From here on the run is the changed one: whoever opens it next completes what is left to do.
        await writeManifest(directory, { ...manifest, incoming });
        await installChange(directory, { ...manifest, incoming });
        return written;
      },
      [Symbol.asyncDispose]: unlock,
    };
  } catch (error) {
    await unlock();
    throw error;
  }
}

const changeFile = 'change.json';
const metricsFiles = ['metrics.jsonl', 'tensorboard/events.out.tfevents'];

const changeSchema = z.strictObject({ version: z.literal(1), fingerprint: z.record(z.string(), z.string()) });

/** The manifest of a run that is finished, whose files are proved. */
async function requireWhole(directory: string, of: RunFingerprint): Promise<RunManifest> {
  const read = await readManifest(directory);
  if (!read) throw refusal('FINETUNE_RUN_MISSING', `${directory} is not the directory of a run`);
  const manifest = await installChange(directory, read);
  if (!manifest.isFinished)
    throw refusal(
      'FINETUNE_RUN_UNFINISHED',
      `the run in ${directory} was stopped before it was trained; finish it first ("contextlora train … --resume"), or train the new task file from the start`,
    );
  if (inputDifferences(manifest.inputs, of).length > 0)
    throw refusal(
      'FINETUNE_RUN_FOREIGN',
      `another process has changed the run in ${directory} meanwhile; try again`,
    );
  const { missing, changed } = await provenFiles(directory, manifest.files);
  if (missing.length + changed.length > 0)
    throw damagedRun(
      `the run in ${directory} cannot be changed: these of its files are missing, or not as it wrote them; copy the run again:`,
      [...missing, ...changed],
    );
  return manifest;
}

/** The fingerprint of a change that was begun. */
async function readBegun(directory: string): Promise<RunFingerprint | undefined> {
  const path = join(directory, changeFolder, changeFile);
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const opened = openSealed(text);
  const { data } = changeSchema.safeParse('value' in opened ? opened.value : undefined);
  if (!data)
    throw refusal(
      'FINETUNE_RUN_DAMAGED',
      `${path} ${'problem' in opened ? opened.problem : 'was written by another version of this program'}; remove the folder to give that change up`,
    );
  return data.fingerprint;
}

function requireSame(directory: string, before: RunFingerprint, now: RunFingerprint): void {
  const problems = inputDifferences(before, now);
  if (problems.length > 0)
    throw refusal(
      'FINETUNE_RUN_FOREIGN',
      [
        `the change that was stopped in ${directory} is another one; go back to its inputs, or begin this one in its place with --force. These inputs differ:`,
        ...problems.map((one) => `  ${one}`),
      ].join('\n'),
      problems,
    );
}

const refusal = (code: FinetuneErrorCode, what: string, problems: readonly string[] = []) =>
  new FinetuneError(code, 'openChangeDirectory', what, { problems });
