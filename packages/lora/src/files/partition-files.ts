/**
 * A partition on disk: `partition.json` and `segments/<task>/`, each an ordinary PEFT folder of one segment with its own scale.
 *
 * The segments are the source of truth; PEFT alone can compose a task by activating the adapters of the task and its ancestors.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { lookUp } from '../look-up.js';
import { LoraError } from '../lora-error.js';
import type { Partition } from '../partition/partition.js';
import { validatePartition } from '../partition/validate-partition.js';
import { segmentModules, segmentOf } from '../segments/adapter-module.js';
import type { Segment, Segments } from '../segments/segment.js';
import { hashSegment } from './hash-segment.js';
import { readPeftFolder } from './read-peft-folder.js';
import { writePeftFolder, type WritePeftFolderOptions } from './write-peft-folder.js';
import { writeWhole } from './write-whole.js';

/**
 * Writes a partition and its segments; the manifest, written last, carries the SHA-256 of each segment. `baseModel` is the name or path
 * of the base, which PEFT looks up.
 *
 * @throws LoraError (`LORA_TASK_UNKNOWN`) when a segment is missing.
 */
export async function writePartition(
  directory: string,
  partition: Partition,
  segments: Segments,
  { baseModel = null }: Pick<WritePeftFolderOptions, 'baseModel'> = {},
): Promise<void> {
  const hashes: [string, string][] = [];
  for (const task of partition.order) {
    const segment = lookUp(segments, task);
    if (!segment)
      throw new LoraError('LORA_TASK_UNKNOWN', 'writePartition', `there is no segment of task "${task}"`);
    hashes.push([task, hashSegment(segment)]);
    await writePeftFolder(join(directory, 'segments', task), segmentModules(partition, task, segment), {
      useRslora: lookUp(partition.tasks, task)?.scaling === 'rslora',
      baseModel,
      linears: Object.keys(partition.layers),
    });
  }
  const manifest = { ...partition, sha256: Object.fromEntries(hashes) };
  await writeWhole(join(directory, 'partition.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}

/**
 * Reads what {@link writePartition} wrote.
 *
 * @throws LoraError when a file is missing (`LORA_FILE_MISSING`) or damaged (`LORA_FILE_DAMAGED`, `LORA_PARTITION_INVALID`), or a
 * segment is not the one of the manifest (`LORA_SEGMENT_CHANGED`).
 */
export async function readPartition(
  directory: string,
): Promise<{ partition: Partition; segments: Segments }> {
  const path = join(directory, 'partition.json');
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    const what = `${directory} has no partition.json; is it the folder of a run?`;
    throw new LoraError('LORA_FILE_MISSING', 'readPartition', what, { cause });
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new LoraError('LORA_FILE_DAMAGED', 'readPartition', `${path} is not JSON`, { cause });
  }
  const { sha256 = {}, ...rest } = value as Partition & { sha256?: Record<string, string> };
  const partition = validatePartition(rest, path);
  const segments: [string, Segment][] = [];
  for (const task of partition.order) {
    if (!/^[\w-]+$/.test(task))
      throw new LoraError(
        'LORA_PARTITION_INVALID',
        'readPartition',
        `${path}: "${task}" cannot be the name of a folder`,
      );
    const segment = segmentOf((await readPeftFolder(join(directory, 'segments', task))).modules);
    const expected = lookUp(sha256, task);
    if (expected !== undefined && hashSegment(segment) !== expected)
      throw new LoraError(
        'LORA_SEGMENT_CHANGED',
        'readPartition',
        `${directory}: the segment of "${task}" differs from the one recorded in the manifest  ` +
          `(SHA-256 differs); restore the folder or train the task again`,
      );
    segments.push([task, segment]);
  }
  return { partition, segments: Object.fromEntries(segments) };
}
