/**
 * A partition on disk: `partition.json` and `segments/<task>/`, each an ordinary PEFT folder of that one segment, unfolded.
 *
 * The segments are the source of truth; PEFT alone can compose a task by activating its closure.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { validatePartition } from './partition-ranks.js';
import type { Partition } from './partition.js';
import { readPeftFolder, segmentModules, segmentOf, writePeftFolder } from './peft-adapter.js';
import { hashSegment, type Segment, type Segments } from './segments.js';
import { writeWhole } from './write-whole.js';

/** Writes a partition and its segments; the manifest, written last, carries each segment's SHA-256. */
export async function writePartition(
  directory: string,
  partition: Partition,
  segments: Segments,
): Promise<void> {
  const sha256: Record<string, string> = {};
  for (const task of partition.order) {
    const segment = segments[task];
    if (!segment) throw new Error(`lora/writePartition: there is no segment of task "${task}"`);
    sha256[task] = hashSegment(segment);
    await writePeftFolder(join(directory, 'segments', task), segmentModules(partition, task, segment), {
      useRslora: partition.tasks[task]?.scaling === 'rslora',
    });
  }
  await writeWhole(
    join(directory, 'partition.json'),
    `${JSON.stringify({ ...partition, sha256 }, null, 2)}\n`,
  );
}

/**
 * Reads what {@link writePartition} wrote.
 *
 * @throws Error when a file is missing or damaged, or a segment is not the one of the manifest.
 */
export async function readPartition(
  directory: string,
): Promise<{ partition: Partition; segments: Segments }> {
  const path = join(directory, 'partition.json');
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new Error(`lora/readPartition: ${directory} has no partition.json; is it the folder of a run?`, {
      cause,
    });
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new Error(`lora/readPartition: ${path} is not JSON`, { cause });
  }
  const { sha256 = {}, ...rest } = value as Partition & { sha256?: Record<string, string> };
  const partition = validatePartition(rest, path);
  const segments: Record<string, Segment> = {};
  for (const task of partition.order) {
    if (!/^[\w-]+$/.test(task))
      throw new Error(`lora/readPartition: ${path}: "${task}" cannot be a folder's name`);
    const segment = segmentOf((await readPeftFolder(join(directory, 'segments', task))).modules);
    if (sha256[task] !== undefined && hashSegment(segment) !== sha256[task])
      throw new Error(
        `lora/readPartition: ${directory}: the segment of "${task}" is not the one the manifest was written with ` +
          `(SHA-256 differs); restore the folder or train the task again`,
      );
    segments[task] = segment;
  }
  return { partition, segments };
}
