/** The rows of a task, from a file. */
import type { TaskSpec } from '@contextlora/task-graph';

import { rowsOf } from '../answers/parse-rows.js';
import type { RowRules } from '../answers/read-row.js';
import type { TaskRow } from '../answers/task-rows.js';
import { readDataFile } from './read-data-file.js';

/**
 * The rows of `readDataFile`, all in memory.
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
