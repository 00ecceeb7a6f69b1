/** The adapter that `contextlora chat` talks with. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';

import { composeTask } from '@contextlora/lora';
import { readPartition, readPeftFolder } from '@contextlora/lora/files';
import type { AnyAdapter } from '@contextlora/model';

import { CliError } from '../cli-error.js';

/** Reads a PEFT folder or, with a task, the task's adapter in the directory of a run or of a partition. */
export async function readAdapter(directory: string, task: string | undefined): Promise<AnyAdapter> {
  const isFile = async (...path: string[]) =>
    (await stat(join(directory, ...path)).catch(() => undefined))?.isFile() ?? false;
  const places = [directory, join(directory, 'partition')];
  for (const place of places) {
    if (!(await isFile(place === directory ? '' : 'partition', 'partition.json'))) continue;
    const { partition, segments } = await readPartition(place);
    const known = partition.order.join(', ');
    if (task === undefined)
      throw invalid(`${directory} holds several tasks; choose one with --task: ${known}`);
    if (!partition.order.includes(task)) throw invalid(`${directory} has no task "${task}"; it has ${known}`);
    return { modules: composeTask(partition, segments, task) };
  }
  return readPeftFolder(task === undefined ? directory : join(directory, task));
}

const invalid = (what: string) => new CliError('CLI_OPTIONS_INVALID', 'chat', what);
