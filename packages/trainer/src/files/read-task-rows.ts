/** The data file of a task, on disk. */
import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

import type { TaskSpec } from '@contextlora/task-graph';

import { parseTaskRows, type TaskRow } from '../answers/task-rows.js';
import { TrainerError } from '../trainer-error.js';

const maximumBytes = 256 * 1024 * 1024;

/**
 * Reads and checks a JSONL file of a task; image paths become absolute, relative to the folder of the file.
 *
 * @throws TrainerError (`TRAINER_DATA_INVALID`) when the file is missing or too large, or {@link parseTaskRows} refuses it.
 */
export async function readTaskRows(path: string, task: TaskSpec): Promise<TaskRow[]> {
  const refuse = (problem: string) =>
    new TrainerError('TRAINER_DATA_INVALID', 'readTaskRows', `${path}:`, { problems: [problem] });
  const info = await stat(path).catch(() => undefined);
  if (!info?.isFile())
    throw refuse(
      `no such file; task "${task.id}" names it in its data; create it, or correct the path in the task file`,
    );
  if (info.size > maximumBytes)
    throw refuse(`${info.size} bytes; at most ${maximumBytes} are read; split the file`);
  const rows = parseTaskRows(await readFile(path, 'utf8'), task, path);
  return rows.map(({ image, ...row }) =>
    image === undefined ? row : { image: resolve(dirname(path), image), ...row },
  );
}
