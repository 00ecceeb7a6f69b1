/**
 * Data files in JSONL: one JSON object per line.
 *
 * `{ "image": "images/0001.png", "text": "limit 80 .", "parents": { "weather": "snow" }, "answer": "icy" }`. Every line is checked,
 * and all problems are reported at once.
 */
import { encodingProblem, type TaskSpec } from '@contextlora/task-graph';

import { TrainerError } from '../trainer-error.js';
import { collectRows, type DataFile, onlyProblem } from './data-file.js';
import { openLineReader } from './read-line.js';
import type { RowRules } from './read-row.js';
import type { TaskRow } from './task-rows.js';

/** Checks the JSONL text of a task line by line, in linear time; paths stay as written. */
export function checkDataFile(
  source: string,
  task: TaskSpec,
  rules: RowRules = {},
): DataFile<readonly TaskRow[]> {
  const text = source.startsWith('\uFEFF') ? source.slice(1) : source;
  const encoding = encodingProblem(text);
  if (encoding) return onlyProblem(`line ${encoding.line}: ${encoding.message}`);
  if (isJsonList(text)) return onlyProblem(jsonListProblem);
  const readLine = openLineReader(task, rules);
  const found = collectRows('line');
  // A raw line end is never within a JSON string.
  for (const [index, line] of text.split(/\r\n|\n|\r/).entries())
    if (line.trim() !== '') found.add(index + 1, readLine(line));
  return found.dataFile();
}

/** Whether a file is one JSON value instead of one per line. */
export const isJsonList = (text: string): boolean => /^\s*\[/.test(text);
export const jsonListProblem =
  'line 1: the file begins as a JSON list; write one object per line, as "jq -c .[]" does';

/**
 * Parses and checks the JSONL text of a task; `path` stands for the file in messages, paths stay as written.
 *
 * @throws TrainerError (`TRAINER_DATA_INVALID`) listing every problem: lines that are not JSON, unknown and repeated keys, values of
 * another type, missing, empty or unused inputs, and answers that their task cannot have.
 */
export function parseTaskRows(
  source: string,
  task: TaskSpec,
  path = 'the data',
  rules: RowRules = {},
): readonly TaskRow[] {
  return rowsOf(checkDataFile(source, task, rules), path);
}

/** The rows of a data file without problems. @throws TrainerError (`TRAINER_DATA_INVALID`) listing its problems. */
export function rowsOf({ rows, problems, problemCount }: DataFile, path: string): readonly TaskRow[] {
  if (problemCount > 0)
    throw new TrainerError('TRAINER_DATA_INVALID', 'readTaskRows', `${path}:`, { problems, problemCount });
  return Array.isArray(rows) ? (rows as readonly TaskRow[]) : [...rows];
}
