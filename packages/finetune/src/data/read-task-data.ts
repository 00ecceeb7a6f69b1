/** Everything a run reads before it starts: the task file, the data files that it names, and the heads of the pictures and sounds. */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

import { schemaProblems, writeJsonAnswer } from '@contextlora/model';
import {
  buildTaskGraph,
  parseTasks,
  type TaskFile,
  type TaskGraph,
  type TaskSpec,
} from '@contextlora/task-graph';
import type { RowList, TaskRow } from '@contextlora/trainer';
import { readDataFile, type ReadDataFileOptions } from '@contextlora/trainer/files';

import { FinetuneError } from '../finetune-error.js';
import { checkFiles } from './check-files.js';
import { childDataOf, type ChildDataSettings } from './child-data.js';
import { dataInvalid, type SourceProblems } from './list-problems.js';
import { sharedInputs } from './shared-inputs.js';
import type { ReadTaskData, RowSource, SplitSources, TaskSplits } from './task-data.js';
import { unseenLabels } from './unseen-labels.js';

/** Reads a task file and builds its graph. */
export async function readTaskFile(path: string): Promise<{ file: TaskFile; graph: TaskGraph }> {
  const source = await readFile(path).catch((cause: unknown) => {
    throw new FinetuneError(
      'FINETUNE_TASK_FILE_UNREADABLE',
      'readTaskFile',
      `cannot read the task file ${path}; is the path right?`,
      { cause },
    );
  });
  const file = parseTasks(source, { file: path, schemaProblems });
  return { file, graph: buildTaskGraph(file.tasks) };
}

export interface ReadTaskDataOptions extends Pick<ChildDataSettings, 'parentAnswers'> {
  /** By default the task file's own directory. */
  readonly dataDirectory?: string;
  /** The size of a file above which training rows are read when they are drawn. @default 256 MiB, as in `readDataFile` */
  readonly maximumBytes?: number;
}

/**
 * Reads a task file and its data files, relative to `dataDirectory`. Rows may lack answers of parents where `parentAnswers` says that the
 * parents are asked instead.
 *
 * @throws FinetuneError listing the problems of all data files, pictures and sounds at once, up to a hundred, and their number.
 */
export async function readTaskData(
  path: string,
  { dataDirectory = dirname(path), maximumBytes, ...settings }: ReadTaskDataOptions = {},
): Promise<ReadTaskData> {
  return readDataOfTasks((await readTaskFile(path)).file, {
    dataDirectory,
    path,
    ...settings,
    ...(maximumBytes === undefined ? {} : { maximumBytes }),
  });
}

/** As {@link readTaskData}, with a task file that is already read; `path` stands for it in messages. */
export async function readDataOfTasks(
  file: TaskFile,
  {
    dataDirectory,
    path,
    maximumBytes,
    ...settings
  }: ReadTaskDataOptions & { readonly dataDirectory: string; readonly path: string },
): Promise<ReadTaskData> {
  const graph = buildTaskGraph(file.tasks);
  const limit = maximumBytes === undefined ? {} : { maximumBytes };
  const problems: SourceProblems[] = [];
  const rows: Record<string, TaskSplits> = {};
  const sources: Record<string, SplitSources> = {};
  for (const task of file.tasks) {
    const { train, validation, test = {} } = task.data;
    const { predictedShare } = childDataOf(settings, task);
    const parents = predictedShare === 'none' ? 'required' : predictedShare === 0 ? 'optional' : 'asked';
    const read = (name: string | undefined, purpose: 'train' | 'answer') =>
      name === undefined
        ? undefined
        : readSplit(resolve(dataDirectory, name), task, {
            ...(purpose === 'train' ? limit : {}),
            tasks: file.tasks,
            purpose,
            parents,
            problems,
          });
    const [trainSplit, validationSplit] = [await read(train, 'train'), await read(validation, 'answer')];
    const tests: [string, ReadSplit][] = [];
    for (const [name, testFile] of Object.entries(test)) {
      const split = await read(testFile, 'answer');
      if (split) tests.push([name, split]);
    }
    rows[task.id] = {
      train: trainSplit?.rows ?? [],
      validation: listOf(validationSplit?.rows),
      tests: Object.fromEntries(tests.map(([name, split]) => [name, listOf(split.rows)])),
    };
    sources[task.id] = {
      ...(trainSplit ? { train: trainSplit.source } : {}),
      ...(validationSplit ? { validation: validationSplit.source } : {}),
      tests: Object.fromEntries(tests.map(([name, { source }]) => [name, source])),
    };
    if (!trainSplit)
      problems.push({
        path,
        problems: [`task "${task.id}" names no training data (data.train)`],
        problemCount: 1,
      });
  }
  const data = { file, graph, rows, sources };
  const checked = await checkFiles(data);
  problems.push(...checked.problems);
  if (problems.length > 0) throw dataInvalid('readTaskData', problems);
  return { ...data, sounds: checked.sounds, warnings: [...sharedInputs(data), ...unseenLabels(data)] };
}

/** Rows to be answered are always in memory. */
const listOf = (rows: RowList = []): readonly TaskRow[] => [...rows];

export interface ReadSplit {
  readonly rows: RowList;
  readonly source: RowSource;
}

/** Reads one data file; its problems are added to `problems`. */
export async function readSplit(
  path: string,
  task: TaskSpec,
  { problems: found, ...rules }: ReadDataFileOptions & { readonly problems: SourceProblems[] },
): Promise<ReadSplit> {
  const { rows, lines, unit, problems, problemCount } = await readDataFile(path, task, {
    ...rules,
    writeJson: writeJsonAnswer,
  });
  // A file that several tasks or purposes name may have the same problem for each.
  if (problemCount > 0) found.push({ path, problems, problemCount });
  return { rows, source: { path, lines, ...(unit === undefined || unit === 'line' ? {} : { unit }) } };
}
