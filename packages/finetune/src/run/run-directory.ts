/** The directory of a run: locked while a process works in it, and never anybody else's. */
import { readdir, rename, rm, rmdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { ifThere, makeDirectory } from '@contextlora/lora/files';
import { inputDifferences, type RunFingerprint } from '@contextlora/trainer';

import { FinetuneError } from '../finetune-error.js';
import { digestsBelow, removeFiles } from './files-below.js';
import { installChange, isFileOfChange } from './install-change.js';
import { lockDirectory, lockFile, lockGuard } from './lock-directory.js';
import { descriptionFile, type RunDescription, writeDescription } from './run-description.js';
import { damagedRun, provenFiles, requireFree } from './proven-files.js';
import { manifestFile, readManifest, type RunManifest, writeManifest } from './run-manifest.js';
import type { WrittenFile } from './write-run.js';

export interface RunDirectoryOptions {
  /** What makes the run; a directory of another kind of run is refused. */
  readonly kind: string;
  /** Whether to go on with the run that the directory may hold. */
  readonly resume?: boolean;
  /** Whether to start again in place of the run that the directory may hold. */
  readonly force?: boolean;
  /** Whether a path relative to the directory, with slashes, is a file of this kind of run in addition to those that every run has. */
  readonly isWorkingFile?: (path: string) => boolean;
}

export interface RunDirectory extends AsyncDisposable {
  /**
   * Makes the directory that of a run with these inputs: call it once they have all been checked. `new`: nothing is left of an earlier
   * run, or there was none; `begun`: an earlier run with the same inputs goes on; `finished`: it has nothing left to do.
   *
   * @throws FinetuneError `FINETUNE_RUN_FOREIGN` listing the inputs that differ from those of the run to resume, `FINETUNE_RUN_DAMAGED`
   * listing the files of a finished run that are not as it wrote them.
   */
  begin(inputs: RunFingerprint): Promise<'new' | 'begun' | 'finished'>;
  /** Writes what the run is, for `openRun`; call it before the run trains, and when it goes on. */
  describe(description: RunDescription): Promise<void>;
  /**
   * Moves what `write` writes below a temporary directory into place and marks the run as finished.
   *
   * @throws FinetuneError (`FINETUNE_DIRECTORY_TAKEN`) when somebody else's file is in the way.
   */
  finish(write: (directory: string) => Promise<readonly WrittenFile[]>): Promise<readonly WrittenFile[]>;
}

/**
 * Locks the directory of a run; leaving its scope unlocks it. Until `begin` nothing in it is changed.
 *
 * @throws FinetuneError `FINETUNE_DIRECTORY_TAKEN` when it is a file, has files that no run has written, or holds a run that is neither to
 * be resumed nor to be replaced; `FINETUNE_RUN_LOCKED` while another process works in it.
 */
export async function openRunDirectory(
  directory: string,
  { kind, resume = false, force = false, isWorkingFile = () => false }: RunDirectoryOptions,
): Promise<RunDirectory> {
  const info = await ifThere(stat(directory));
  if (info && !info.isDirectory()) throw taken(`${directory} is a file; choose another directory`);
  const entries = info ? await readdir(directory) : [];
  if (!entries.includes(manifestFile) && entries.some((name) => !ownBeforeBegin.has(name)))
    throw taken(`${directory} holds files that no run has written; choose another directory`);
  const created = await makeDirectory(directory);
  const unlock = await lockDirectory(directory);
  let isBegun = false;
  const close = async () => {
    await unlock();
    if (isBegun || created === undefined) return;
    for (let path = directory; path.length >= created.length; path = dirname(path))
      if (
        !(await rmdir(path).then(
          () => true,
          () => false,
        ))
      )
        return;
  };
  const isOwn = (path: string, { files }: Pick<RunManifest, 'files'>) =>
    Object.hasOwn(files, path) || isFileOfEveryRun(path) || isWorkingFile(path);

  try {
    let manifest = await readManifest(directory);
    if (manifest) manifest = await installChange(directory, manifest);
    if (manifest && manifest.kind !== kind)
      throw taken(`${directory} holds a run of "${manifest.kind}"; choose another directory`);
    if (manifest && !resume && !force)
      throw taken(
        `${directory} holds ${manifest.isFinished ? 'a finished run' : 'a run that was stopped'}; ` +
          `--resume ${manifest.isFinished ? 'checks its files' : 'goes on with it'}, --force starts again in its place, ` +
          'and another --out leaves it alone',
      );
    const keep = async (next: RunManifest) => {
      await writeManifest(directory, next);
      return (manifest = next);
    };
    return {
      async begin(inputs) {
        isBegun = true;
        if (manifest && force) {
          const old = await keep({ ...manifest, isFinished: false });
          await removeFiles(directory, (path) => isOwn(path, old), { first: 'checkpoints/latest.json' });
        } else if (manifest) {
          requireSameInputs(directory, manifest.inputs, inputs);
          if (!manifest.isFinished) return 'begun';
          if (await isComplete(directory, manifest)) return 'finished';
          await keep({ ...manifest, isFinished: false });
          return 'begun';
        }
        await keep({ kind, inputs, isFinished: false, files: {} });
        return 'new';
      },
      async describe(description) {
        if (!manifest) throw new Error('internal: a run directory is described before it is begun');
        const sha256 = await writeDescription(directory, description);
        await keep({ ...manifest, files: { ...manifest.files, [descriptionFile]: sha256 } });
      },
      async finish(write) {
        if (!manifest) throw new Error('internal: a run directory is finished before it is begun');
        const staging = join(directory, stagingFolder);
        await rm(staging, { recursive: true, force: true });
        await makeDirectory(staging);
        const written = await write(staging);
        const results = await digestsBelow(staging);
        await requireFree(directory, Object.keys(results), manifest);
        // Listed before they are moved, so that no file of the run is ever taken for somebody else's.
        const listed = await keep({ ...manifest, files: { ...manifest.files, ...results } });
        for (const path of Object.keys(results)) {
          await makeDirectory(dirname(join(directory, path)));
          await rename(join(staging, path), join(directory, path));
        }
        await rm(staging, { recursive: true });
        const kept = await digestsBelow(directory, (path) => isFileOfEveryRun(path) && !isFileOfChange(path));
        await keep({ ...listed, isFinished: true, files: { ...listed.files, ...kept } });
        return written;
      },
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

const stagingFolder = '.results.partial';

/** What a process that died before it had begun may have left. */
const ownBeforeBegin: ReadonlySet<string> = new Set([lockFile, lockGuard, `${manifestFile}.partial`]);

/** The description, metrics and checkpoints; those of a checkpoint that is being replaced too. */
const isFileOfEveryRun = (path: string) =>
  /^(run\.json|metrics\.jsonl|tensorboard\/events\.out\.tfevents|checkpoints\/(latest\.json|phase-[^/]+\/[^/]+))(\.partial)?$/.test(
    path,
  ) ||
  path.startsWith(`${stagingFolder}/`) ||
  isFileOfChange(path);

const taken = (what: string) => new FinetuneError('FINETUNE_DIRECTORY_TAKEN', 'openRunDirectory', what);

function requireSameInputs(directory: string, before: RunFingerprint, now: RunFingerprint): void {
  const problems = inputDifferences(before, now);
  if (problems.length > 0)
    throw new FinetuneError(
      'FINETUNE_RUN_FOREIGN',
      'openRunDirectory',
      [
        `${directory}: the checkpoint belongs to another run; go back to its inputs, choose another --out, or start again in its place with --force. These inputs differ:`,
        ...problems.map((one) => `  ${one}`),
      ].join('\n'),
      { problems },
    );
}

/** Whether all files of a finished run are there; refuses those that were changed. */
async function isComplete(directory: string, { files }: RunManifest): Promise<boolean> {
  const { missing, changed } = await provenFiles(directory, files);
  if (changed.length > 0)
    throw damagedRun(
      `the run in ${directory} is finished, but these of its files are not as it wrote them; delete them to have --resume write them again:`,
      changed,
    );
  return missing.length === 0;
}
