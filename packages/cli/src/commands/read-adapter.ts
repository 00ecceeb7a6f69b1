/** The adapter that `contextlora chat` talks with. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';

import { openRun, type OpenedRun, requireTrained } from '@contextlora/finetune';
import { composeTask } from '@contextlora/lora';
import { ifThere, readPartition, readPeftFolder } from '@contextlora/lora/files';
import type { AnyAdapter } from '@contextlora/model';

import { CliError } from '../cli-error.js';

interface FoundAdapter {
  readonly adapter: AnyAdapter;
  /** The run that it is of. */
  readonly run?: OpenedRun;
}

/** Reads a PEFT folder or, with a task, the task's adapter in the directory of a run, also one that was stopped, or of a partition. */
export async function readAdapter(directory: string, task: string | undefined): Promise<FoundAdapter> {
  const has = async (...path: string[]) => (await ifThere(stat(join(directory, ...path))))?.isFile() ?? false;
  if ((await has('.contextlora-run')) && (await has('run.json'))) {
    const run = await openRun(directory);
    const chosen = chooseTask(directory, task, run.partition.order);
    requireTrained(run, chosen);
    return { adapter: { modules: composeTask(run.partition, run.segments, chosen) }, run };
  }
  for (const place of [directory, join(directory, 'partition')]) {
    if (!(await has(place === directory ? '' : 'partition', 'partition.json'))) continue;
    const { partition, segments } = await readPartition(place);
    const chosen = chooseTask(directory, task, partition.order);
    return { adapter: { modules: composeTask(partition, segments, chosen) } };
  }
  return { adapter: await readPeftFolder(task === undefined ? directory : join(directory, task)) };
}

function chooseTask(directory: string, task: string | undefined, known: readonly string[]): string {
  const names = known.join(', ');
  if (task === undefined) throw invalid(`${directory} holds several tasks; choose one with --task: ${names}`);
  if (!known.includes(task)) throw invalid(`${directory} has no task "${task}"; it has ${names}`);
  return task;
}

const invalid = (what: string) => new CliError('CLI_OPTIONS_INVALID', 'chat', what);
