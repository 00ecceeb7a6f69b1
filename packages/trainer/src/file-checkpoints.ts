/** A {@link CheckpointStore} in a directory: one folder per checkpoint, published by renaming a pointer file. */
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { writeWhole } from '@contextlora/lora/files';

import type { Checkpoint, CheckpointStore, RunPosition } from './checkpoint.js';

const pointerFile = 'latest.json';

/** Keeps checkpoints under `directory`; the folder that `latest.json` names is complete, any other is rubbish to remove. */
export function fileCheckpoints(directory: string): CheckpointStore {
  return {
    async load() {
      const pointer = await readJson(join(directory, pointerFile));
      if (pointer === undefined) return undefined;
      const { folder, position, files } = checkPointer(pointer, directory);
      const loaded: Record<string, Uint8Array> = {};
      for (const file of files) loaded[file] = await readFile(join(directory, folder, file));
      return { position, files: loaded };
    },
    async save({ position, files }: Checkpoint) {
      const folder = `phase-${position.phase}-step-${position.step}`;
      await rm(join(directory, folder), { recursive: true, force: true });
      for (const [file, bytes] of Object.entries(files))
        await writeWhole(join(directory, folder, file), bytes);
      const pointer = { folder, position, files: Object.keys(files).sort() };
      await writeWhole(join(directory, pointerFile), JSON.stringify(pointer, null, 2));
      for (const old of await readdir(directory))
        if (old.startsWith('phase-') && old !== folder)
          await rm(join(directory, old), { recursive: true, force: true });
    },
  };
}

interface Pointer {
  readonly folder: string;
  readonly position: RunPosition;
  readonly files: readonly string[];
}

function checkPointer(value: unknown, directory: string): Pointer {
  const pointer = value as Partial<Pointer>;
  const plain = (name: unknown): name is string =>
    typeof name === 'string' && /^[\w.-]+$/.test(name) && !name.startsWith('.');
  if (
    !plain(pointer.folder) ||
    !Array.isArray(pointer.files) ||
    !pointer.files.every(plain) ||
    typeof pointer.position?.phase !== 'number' ||
    typeof pointer.position.step !== 'number' ||
    typeof pointer.position.fingerprint !== 'string'
  )
    throw new Error(
      `trainer/fileCheckpoints: ${join(directory, pointerFile)} is not a checkpoint of this program; ` +
        `remove the directory to start anew`,
    );
  return pointer as Pointer;
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new Error(`trainer/fileCheckpoints: cannot read ${path}; remove its directory to start anew`, {
      cause,
    });
  }
}
