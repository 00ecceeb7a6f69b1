/** The data file of a task, on disk. */
import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

import { decodeText, type TaskSpec } from '@contextlora/task-graph';

import { checkDataFile, type DataFile, rowsOf } from '../answers/parse-rows.js';
import type { RowRules } from '../answers/read-row.js';
import type { TaskRow } from '../answers/task-rows.js';

const maximumBytes = 256 * 1024 * 1024;

/**
 * Reads and checks a JSONL file of a task; image paths become absolute, relative to the folder of the file.
 *
 * A file that is missing, too large or in another encoding than UTF-8 is a problem like any other.
 */
export async function readDataFile(path: string, task: TaskSpec, rules: RowRules = {}): Promise<DataFile> {
  const only = (problem: string): DataFile => ({ rows: [], lines: [], problems: [problem], problemCount: 1 });
  const info = await stat(path).catch(() => undefined);
  if (!info?.isFile())
    return only(
      `no such file; task "${task.id}" names it in its data; create it, or correct the path in the task file`,
    );
  if (info.size > maximumBytes)
    return only(`${info.size} bytes; at most ${maximumBytes} are read; split the file`);
  const bytes = await readFile(path).catch((cause: unknown) => cause as NodeJS.ErrnoException);
  if (!Buffer.isBuffer(bytes)) return only(`cannot be read (${bytes.code ?? bytes.message})`);
  const text = decodeText(bytes);
  if (typeof text !== 'string') return only(`line ${text.line}: ${text.message}`);
  const { rows, ...rest } = checkDataFile(text, task, rules);
  return {
    ...rest,
    rows: rows.map(({ image, ...row }) =>
      image === undefined ? row : { image: resolve(dirname(path), image), ...row },
    ),
  };
}

/**
 * The rows of {@link readDataFile}.
 *
 * @throws TrainerError (`TRAINER_DATA_INVALID`) listing the problems of the file.
 */
export async function readTaskRows(
  path: string,
  task: TaskSpec,
  rules: RowRules = {},
): Promise<readonly TaskRow[]> {
  return rowsOf(await readDataFile(path, task, rules), path);
}
