/** Rows to evaluate a run on: the test sets that its task file names, or other files. */
import { basename, resolve } from 'node:path';

import type { TaskGraph, TaskFile } from '@contextlora/task-graph';

import { FinetuneError } from '../finetune-error.js';
import { checkFiles } from './check-files.js';
import { dataInvalid, type SourceProblems } from './list-problems.js';
import { readSplit, type ReadSplit } from './read-task-data.js';
import type { RowSource, TaskData, TaskSplits } from './task-data.js';

export interface ReadTestSetsOptions {
  /** The tasks to evaluate. */
  readonly tasks: readonly string[];
  /** Directory of the test sets that the task file names. */
  readonly dataDirectory: string;
  /** Task → files in place of its test sets. */
  readonly files?: Readonly<Record<string, readonly string[]>>;
}

/**
 * Reads test sets, whose rows need no right answers of parents; a file given in place of them is a test set under its own name. Tasks without rows have none.
 *
 * @throws FinetuneError (`FINETUNE_DATA_INVALID`) listing the problems of all files, pictures and sounds, or when there is nothing to read.
 */
export async function readTestSets(
  { file, graph }: { readonly file: TaskFile; readonly graph: TaskGraph },
  { tasks, dataDirectory, files = {} }: ReadTestSetsOptions,
): Promise<TaskData> {
  const problems: SourceProblems[] = [];
  const rows: Record<string, TaskSplits> = {};
  const sources: Record<string, { readonly tests: Readonly<Record<string, RowSource>> }> = {};
  for (const task of file.tasks) {
    const named = files[task.id]?.map((path, _, all) => [nameOf(path, all), resolve(path)] as const);
    const own = Object.entries(task.data.test ?? {}).map(
      ([name, path]) => [name, resolve(dataDirectory, path)] as const,
    );
    const tests: [string, ReadSplit][] = [];
    if (tasks.includes(task.id))
      for (const [name, path] of named ?? own)
        tests.push([
          name,
          await readSplit(path, task, { tasks: file.tasks, purpose: 'answer', parents: 'asked', problems }),
        ]);
    rows[task.id] = {
      train: [],
      validation: [],
      tests: Object.fromEntries(tests.map(([name, { rows: read }]) => [name, [...read]])),
    };
    sources[task.id] = { tests: Object.fromEntries(tests.map(([name, { source }]) => [name, source])) };
  }
  const data: TaskData & { readonly sources: typeof sources } = { file, graph, rows, sources };
  const checked = await checkFiles(data);
  problems.push(...checked.problems);
  if (problems.length > 0) throw dataInvalid('readTestSets', problems);
  if (Object.values(rows).every(({ tests }) => Object.keys(tests).length === 0))
    throw new FinetuneError(
      'FINETUNE_DATA_INVALID',
      'readTestSets',
      `the task file names no test set of ${tasks.join(', ')}; give files`,
    );
  return { ...data, sounds: checked.sounds };
}

/** The name of a file, or its path where another file has the same name. */
const nameOf = (path: string, all: readonly string[]) =>
  all.filter((other) => basename(other) === basename(path)).length > 1 ? path : basename(path);
