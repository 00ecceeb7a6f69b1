/**
 * A {@link CheckpointStore} in a directory: one folder per checkpoint, published by renaming a pointer file.
 *
 * The pointer, `latest.json`, is sealed and holds size and SHA-256 of every file: what was changed since it was saved is not restored.
 */
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { differenceFrom, digestOf, openSealed, sealJson, writeWhole } from '@contextlora/lora/files';
import * as z from 'zod';

import { TrainerError } from '../trainer-error.js';
import type { Checkpoint, CheckpointStore } from '../training/checkpoint.js';

const pointerFile = 'latest.json';

/**
 * Keeps checkpoints under `directory`: the folder that `latest.json` names is complete, any other is removed at the next save.
 *
 * `load` throws TrainerError (`TRAINER_CHECKPOINT_DAMAGED`) with every file that is missing or was changed.
 */
export function fileCheckpoints(directory: string): CheckpointStore {
  const publish = (pointer: Pointer) => writeWhole(join(directory, pointerFile), sealJson(pointer));
  return {
    async load() {
      const saved = (await readPointer(directory))?.saved;
      if (!saved) return undefined;
      const { folder, position, segments, files } = saved;
      const problems: string[] = [];
      const loaded: [string, Uint8Array][] = [];
      for (const [name, digest] of Object.entries(files)) {
        const content = await readFile(join(directory, folder, name)).catch(
          (cause: unknown) => (cause as NodeJS.ErrnoException).code ?? String(cause),
        );
        const problem =
          typeof content === 'string' ? `cannot be read (${content})` : differenceFrom(digest, content);
        if (problem !== undefined) problems.push(`${folder}/${name} ${problem}`);
        else if (typeof content !== 'string') loaded.push([name, content]);
      }
      if (problems.length > 0) throw damaged(directory, problems);
      return { position, segments, files: Object.fromEntries(loaded) };
    },

    async save({ position, segments, files }: Checkpoint) {
      const before = await readPointer(directory);
      // From the first save on, a directory with checkpoints but without a pointer has lost it.
      if (!before) await publish({ version: 2, saved: null });
      const name = `phase-${position.phase}-step-${position.step}`;
      // What the pointer names stays whole until another folder takes its place.
      const folder = before?.saved?.folder === name ? `${name}-again` : name;
      await rm(join(directory, folder), { recursive: true, force: true });
      const unusable = Object.keys(files).find((file) => !plainName.safeParse(file).success);
      if (unusable !== undefined)
        throw new TrainerError(
          'TRAINER_INPUT_INVALID',
          'fileCheckpoints',
          `"${unusable}" cannot be the name of a file of a checkpoint`,
        );
      const digests: Saved['files'] = {};
      for (const [file, bytes] of Object.entries(files)) {
        await writeWhole(join(directory, folder, file), bytes);
        digests[file] = digestOf(bytes);
      }
      await publish({ version: 2, saved: { folder, position, segments, files: digests } });
      for (const old of await foldersIn(directory))
        if (old !== folder) await rm(join(directory, old), { recursive: true, force: true });
    },
  };
}

/** A name within the directory: never a path that leads out of it. */
const plainName = z.string().regex(/^[\w-][\w.-]*$/);
const count = z.int().nonnegative();
const hashes = z.record(z.string(), z.string());
const pointerSchema = z.strictObject({
  /** The first version had no digests. */
  version: z.literal(2),
  /** Null before the first checkpoint is complete. */
  saved: z
    .strictObject({
      folder: plainName,
      position: z.strictObject({ phase: count, step: count, certificate: hashes, fingerprint: hashes }),
      segments: hashes,
      files: z.record(plainName, z.strictObject({ bytes: count, sha256: z.string() })),
    })
    .nullable(),
});
type Pointer = z.infer<typeof pointerSchema>;
type Saved = NonNullable<Pointer['saved']>;

const foldersIn = async (directory: string): Promise<string[]> =>
  (await readdir(directory)).filter((name) => name.startsWith('phase-'));

const foreign = 'is not a checkpoint of this program';

async function readPointer(directory: string): Promise<Pointer | undefined> {
  const path = join(directory, pointerFile);
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw damaged(directory, [`${pointerFile} cannot be read`], cause);
  });
  if (text === undefined) {
    const orphans = await foldersIn(directory).catch(() => []);
    if (orphans.length === 0) return undefined;
    throw damaged(directory, [`${pointerFile} is missing, though there is ${orphans.join(', ')}`]);
  }
  const opened = openSealed(text);
  if ('problem' in opened)
    throw damaged(directory, [
      `${pointerFile} ${opened.isUnsealed ? `${foreign}, or is one of an earlier version, which kept no digests` : opened.problem}`,
    ]);
  const { data, error } = pointerSchema.safeParse(opened.value);
  if (!data) throw damaged(directory, [`${pointerFile} ${foreign}`], error);
  return data;
}

const damaged = (directory: string, problems: readonly string[], cause?: unknown) =>
  new TrainerError(
    'TRAINER_CHECKPOINT_DAMAGED',
    'fileCheckpoints',
    `the checkpoint in ${directory} is not used, because it is not what was saved; ` +
      'copy it again, or remove the directory to start again (contextlora: --force):',
    { problems, cause },
  );
