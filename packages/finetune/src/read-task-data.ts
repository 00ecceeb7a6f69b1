/** All that a run reads before it starts: the task file, its graph, and every data file it names. */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

import { buildTaskGraph, parseTasks, type TaskFile, type TaskGraph } from '@contextlora/task-graph';
import { readTaskRows, TaskDataError, type TaskRow } from '@contextlora/trainer';

export interface TaskRows {
  readonly train: readonly TaskRow[];
  readonly validation: readonly TaskRow[];
  /** Named test sets. */
  readonly tests: Readonly<Record<string, readonly TaskRow[]>>;
}

export interface TaskData {
  readonly file: TaskFile;
  readonly graph: TaskGraph;
  readonly rows: Readonly<Record<string, TaskRows>>;
}

/** Reads a task file. */
export async function readTaskFile(path: string): Promise<{ file: TaskFile; graph: TaskGraph }> {
  const source = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new Error(`contextlora/readTaskFile: cannot read the task file ${path}; is the path right?`, {
      cause,
    });
  });
  const file = parseTasks(source, { file: path });
  return { file, graph: buildTaskGraph(file.tasks) };
}

/**
 * Reads a task file and its data, relative to `dataDirectory` (by default where the task file lies).
 *
 * @throws Error with the problems of all data files at once.
 */
export async function readTaskData(
  path: string,
  { dataDirectory = dirname(path) }: { dataDirectory?: string } = {},
): Promise<TaskData> {
  const { file, graph } = await readTaskFile(path);
  const problems: string[] = [];
  const rows: Record<string, TaskRows> = {};
  for (const task of file.tasks) {
    const read = async (name: string | undefined) => {
      if (name === undefined) return [];
      try {
        return await readTaskRows(resolve(dataDirectory, name), task);
      } catch (error) {
        if (!(error instanceof TaskDataError)) throw error;
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
      problems.push(
        `contextlora/readTaskData: task "${task.id}" of ${path} names no training data (data.train)`,
      );
  }
  if (problems.length > 0) {
    const [first = ''] = problems;
    throw problems.length === 1
      ? new Error(first)
      : new Error(`contextlora/readTaskData: ${problems.join('\n')}`);
  }
  return { file, graph, rows };
}
