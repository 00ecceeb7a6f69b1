/** A {@link CheckpointStore} in a directory: one folder per checkpoint, published by renaming a pointer file. */
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { writeWhole } from '@contextlora/lora/files';
import * as z from 'zod';

import { TrainerError } from '../trainer-error.js';
import type { Checkpoint, CheckpointStore } from '../training/checkpoint.js';

const pointerFile = 'latest.json';

/** Keeps checkpoints under `directory`: the folder that `latest.json` names is complete, any other is removed at the next save. */
export function fileCheckpoints(directory: string): CheckpointStore {
  return {
    async load() {
      const pointer = await readPointer(join(directory, pointerFile));
      if (!pointer) return undefined;
      const { folder, position, files } = pointer;
      const loaded: [string, Uint8Array][] = [];
      for (const file of files) {
        const path = join(directory, folder, file);
        const bytes = await readFile(path).catch((cause: unknown) => {
          throw unreadable(path, cause);
        });
        loaded.push([file, bytes]);
      }
      return { position, files: Object.fromEntries(loaded) };
    },
    async save({ position, files }: Checkpoint) {
      const folder = `phase-${position.phase}-step-${position.step}`;
      await rm(join(directory, folder), { recursive: true, force: true });
      for (const [file, bytes] of Object.entries(files))
        await writeWhole(join(directory, folder, file), bytes);
      const pointer: Pointer = { folder, position, files: Object.keys(files).sort() };
      await writeWhole(join(directory, pointerFile), JSON.stringify(pointer, null, 2));
      for (const old of await readdir(directory))
        if (old.startsWith('phase-') && old !== folder)
          await rm(join(directory, old), { recursive: true, force: true });
    },
  };
}

/** A name within the directory: never a path that leads out of it. */
const plainName = z.string().regex(/^[\w-][\w.-]*$/);
const count = z.int().nonnegative();
const pointerSchema = z.object({
  folder: plainName,
  position: z.object({
    phase: count,
    step: count,
    certificate: z.record(z.string(), z.string()),
    fingerprint: z.record(z.string(), z.string()),
  }),
  files: z.array(plainName),
});
type Pointer = z.infer<typeof pointerSchema>;

async function readPointer(path: string): Promise<Pointer | undefined> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unreadable(path, cause);
  }
  const { data, error } = pointerSchema.safeParse(value);
  if (!data)
    throw damaged(`${path} is not a checkpoint of this program; remove its directory to start again`, error);
  return data;
}

const unreadable = (path: string, cause: unknown) =>
  damaged(`cannot read ${path}; remove its directory to start again`, cause);

const damaged = (what: string, cause: unknown) =>
  new TrainerError('TRAINER_CHECKPOINT_DAMAGED', 'fileCheckpoints', what, { cause });
