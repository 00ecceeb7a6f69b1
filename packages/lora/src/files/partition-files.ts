/**
 * A partition on disk: `partition.json` and `segments/<task>/`, each an ordinary PEFT folder of one segment with its own scale.
 *
 * The segments are the source of truth; PEFT alone can compose a task by activating the adapters of the task and its ancestors. The
 * manifest, `partition.json`, is sealed and holds the digests of all other files, so that any change to any of them is noticed.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { lookUp } from '../look-up.js';
import { LoraError } from '../lora-error.js';
import type { Partition } from '../partition/partition.js';
import { validatePartition } from '../partition/validate-partition.js';
import { segmentModules, segmentOf } from '../segments/adapter-module.js';
import type { Segment, Segments } from '../segments/segment.js';
import { differences, type FolderDigests, writeDigests } from './folder-digests.js';
import { hashSegment } from './hash-segment.js';
import { readPeftFolder } from './read-peft-folder.js';
import { openSealed, sealJson } from './sealed-json.js';
import { writePeftFolder } from './write-peft-folder.js';
import { writeWhole } from './write-whole.js';

/** `partition.json`: the partition's own keys and these, and a seal. */
interface Manifest extends Partition {
  /** Of the manifest; the first had no digests of files. */
  readonly format: 2;
  /** Task → SHA-256 of its segment. */
  readonly sha256: Readonly<Record<string, string>>;
  /** Task → file in its folder → digest. */
  readonly files: Readonly<Record<string, FolderDigests>>;
}

/**
 * Writes a partition and its segments; the manifest, written last, seals the partition and carries the SHA-256 of each segment and file.
 *
 * @throws LoraError (`LORA_TASK_UNKNOWN`) when a segment is missing.
 */
export async function writePartition(
  directory: string,
  partition: Partition,
  segments: Segments,
): Promise<void> {
  const hashes: [string, string][] = [];
  const files: [string, FolderDigests][] = [];
  for (const task of partition.order) {
    const segment = lookUp(segments, task);
    if (!segment)
      throw new LoraError('LORA_TASK_UNKNOWN', 'writePartition', `there is no segment of task "${task}"`);
    hashes.push([task, hashSegment(segment)]);
    const useRslora = lookUp(partition.tasks, task)?.scaling === 'rslora';
    const modules = segmentModules(partition, task, segment);
    const digests = await writePeftFolder(folderOf(directory, task), modules, { useRslora });
    await writeDigests(folderOf(directory, task), digests);
    files.push([task, digests]);
  }
  const manifest: Manifest = {
    ...partition,
    format: 2,
    sha256: Object.fromEntries(hashes),
    files: Object.fromEntries(files),
  };
  await writeWhole(join(directory, 'partition.json'), sealJson(manifest));
}

/**
 * Reads what {@link writePartition} wrote, after every file was compared with the manifest.
 *
 * @throws LoraError when a file is missing (`LORA_FILE_MISSING`), the manifest is damaged or has no digests (`LORA_FILE_DAMAGED`,
 * `LORA_PARTITION_INVALID`), or a segment is not the one of the manifest (`LORA_SEGMENT_CHANGED`).
 */
export async function readPartition(
  directory: string,
): Promise<{ partition: Partition; segments: Segments }> {
  const path = join(directory, 'partition.json');
  const { sha256, files, ...rest } = await readManifest(directory, path);
  const partition = validatePartition(rest, path);
  const problems: string[] = [];
  const segments: [string, Segment][] = [];
  for (const task of partition.order) {
    if (!/^[\w-]+$/.test(task))
      throw new LoraError(
        'LORA_PARTITION_INVALID',
        'readPartition',
        `${path}: "${task}" cannot be the name of a folder`,
      );
    const folder = folderOf(directory, task);
    const changed = await differences(folder, lookUp(files, task));
    if (changed.length === 0) {
      const segment = segmentOf((await readPeftFolder(folder)).modules);
      segments.push([task, segment]);
      if (hashSegment(segment) !== lookUp(sha256, task)) changed.push('its numbers have another SHA-256');
    }
    if (changed.length > 0)
      problems.push(
        `the segment of "${task}" differs from the one recorded in the manifest (${changed.join('; ')})`,
      );
  }
  if (problems.length > 0)
    throw new LoraError(
      'LORA_SEGMENT_CHANGED',
      'readPartition',
      `${directory} does not hold what was written to it; copy it again, or train these tasks again:`,
      { problems },
    );
  return { partition, segments: Object.fromEntries(segments) };
}

/** The manifest, whose seal proves it. */
async function readManifest(
  directory: string,
  path: string,
): Promise<Pick<Manifest, 'sha256' | 'files'> & Record<string, unknown>> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    const what = `${directory} has no partition.json; is it the folder of a run?`;
    throw new LoraError('LORA_FILE_MISSING', 'readPartition', what, { cause });
  });
  const opened = openSealed(text);
  const damaged = (what: string) =>
    new LoraError('LORA_FILE_DAMAGED', 'readPartition', `${path} ${what}; copy it again, or train again`);
  if ('problem' in opened) throw damaged(opened.problem);
  const { format, sha256, files, ...rest } = opened.value;
  const isRecord = (value: unknown) => typeof value === 'object' && value !== null;
  if (format !== 2) throw damaged(`has format ${JSON.stringify(format)}; this version reads format 2`);
  if (!isRecord(sha256) || !isRecord(files)) throw damaged('has no digests');
  return { ...rest, sha256: sha256 as Manifest['sha256'], files: files as Manifest['files'] };
}

const folderOf = (directory: string, task: string) => join(directory, 'segments', task);
