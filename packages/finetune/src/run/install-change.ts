/** Puts a finished change in place of what a run was, so that a process may die at any moment and the next one goes on. */
import { rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { makeDirectory } from '@contextlora/lora/files';

import { removeFiles } from './files-below.js';
import { lockDirectory } from './lock-directory.js';
import { damagedRun, provenFiles } from './proven-files.js';
import { readManifest, type RunManifest, writeManifest } from './run-manifest.js';

/** The folder of a run in which a change is made. */
export const changeFolder = '.contextlora-change';

/** What takes the place of the run's files. */
export const changeResults = `${changeFolder}/results`;

/** Whether a path in the directory of a run is a file of a change. */
export const isFileOfChange = (path: string): boolean => path.startsWith(`${changeFolder}/`);

/**
 * Goes on with a change that was complete when its process was stopped, from wherever that was; the caller has the lock of the directory.
 * Returns the manifest of the run as it is now.
 *
 * @throws FinetuneError (`FINETUNE_RUN_DAMAGED`) when a file of the change is neither where it was made nor in its place.
 */
export async function installChange(directory: string, manifest: RunManifest): Promise<RunManifest> {
  const { kind, incoming, files: old } = manifest;
  if (!incoming) return manifest;
  const { inputs, files } = incoming;
  for (const path of Object.keys(files)) {
    await makeDirectory(dirname(join(directory, path)));
    await rename(join(directory, changeResults, path), join(directory, path)).catch((error: unknown) => {
      // An earlier process has moved it.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    });
  }
  const { missing, changed } = await provenFiles(directory, files);
  if (missing.length + changed.length > 0)
    throw damagedRun(
      `the change of the run in ${directory} cannot be completed: these of its files are missing, or not as it wrote them; copy the run again:`,
      [...missing, ...changed],
    );
  const isReplaced = (path: string) => Object.hasOwn(old, path) && !Object.hasOwn(files, path);
  await removeFiles(directory, isReplaced, { first: 'checkpoints/latest.json' });
  await rm(join(directory, changeFolder), { recursive: true, force: true });
  const installed = { kind, inputs, isFinished: true, files };
  await writeManifest(directory, installed);
  return installed;
}

/** The manifest of a directory, once a change that was complete is in its place; undefined if it is not that of a run. */
export async function readSettledManifest(directory: string): Promise<RunManifest | undefined> {
  const manifest = await readManifest(directory);
  if (!manifest?.incoming) return manifest;
  const unlock = await lockDirectory(directory);
  try {
    // Another process may have gone on with it meanwhile.
    const now = await readManifest(directory);
    return now && (await installChange(directory, now));
  } finally {
    await unlock();
  }
}
