/** Everything a run reads before it starts: the task file and the data files that it names. */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

import { buildTaskGraph, parseTasks, type TaskFile, type TaskGraph } from '@contextlora/task-graph';
import { type TaskRow, TrainerError } from '@contextlora/trainer';
import { readTaskRows } from '@contextlora/trainer/files';

import { FinetuneError } from '../finetune-error.js';

/** The rows of one task, by purpose. */
export interface TaskSplits {
  readonly train: readonly TaskRow[];
  readonly validation: readonly TaskRow[];
  /** Test sets by name. */
  readonly tests: Readonly<Record<string, readonly TaskRow[]>>;
}

export interface TaskData {
  readonly file: TaskFile;
  readonly graph: TaskGraph;
  /** Task → rows. */
  readonly rows: Readonly<Record<string, TaskSplits>>;
}

/** Reads a task file and builds its graph. */
export async function readTaskFile(path: string): Promise<{ file: TaskFile; graph: TaskGraph }> {
  const source = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new FinetuneError(
      'FINETUNE_TASK_FILE_UNREADABLE',
      'readTaskFile',
      `cannot read the task file ${path}; is the path right?`,
      { cause },
    );
  });
  const file = parseTasks(source, { file: path });
  return { file, graph: buildTaskGraph(file.tasks) };
}

/**
 * Reads a task file and its data files, relative to `dataDirectory` (by default the task file's own directory).
 *
 * @throws FinetuneError listing the problems of all data files at once.
 */
export async function readTaskData(
  path: string,
  { dataDirectory = dirname(path) }: { dataDirectory?: string } = {},
): Promise<TaskData> {
  const { file, graph } = await readTaskFile(path);
  const problems: string[] = [];
  const rows: Record<string, TaskSplits> = {};
  for (const task of file.tasks) {
    const read = async (name: string | undefined) => {
      if (name === undefined) return [];
      try {
        return await readTaskRows(resolve(dataDirectory, name), task);
      } catch (error) {
        if (!(error instanceof TrainerError) || error.code !== 'TRAINER_DATA_INVALID') throw error;
        problems.push(error.message);
        return [];
      }
    };
    const tests: Record<string, readonly TaskRow[]> = {};
    for (const [name, test] of Object.entries(task.data.test ?? {})) tests[name] = await read(test);
    rows[task.id] = {
      train: await read(task.data.train),
      validation: await read(task.data.validation),
      tests,
    };
    if (task.data.train === undefined)
      problems.push(`task "${task.id}" of ${path} names no training data (data.train)`);
  }
  if (problems.length > 0)
    throw new FinetuneError('FINETUNE_DATA_INVALID', 'readTaskData', problems.join('\n'), { problems });
  return { file, graph, rows };
}

/** Name of a task's main test set, which is its first; empty if it has none. */
export const mainTestOf = ({ rows }: TaskData, task: string): string =>
  Object.keys(rows[task]?.tests ?? {})[0] ?? '';

/** The rows of a task's main test set. */
export const mainTestRows = (data: TaskData, task: string): readonly TaskRow[] =>
  data.rows[task]?.tests[mainTestOf(data, task)] ?? [];

/** Paths of all images of a run, each once. */
export function imagesOf({ rows }: TaskData): string[] {
  const all = Object.values(rows).flatMap(({ train, validation, tests }): TaskRow[] => [
    ...train,
    ...validation,
    ...Object.values(tests).flat(),
  ]);
  return [...new Set(all.flatMap(({ image }) => (image === undefined ? [] : [image])))];
}
