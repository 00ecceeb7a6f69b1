/**
 * Data files: one JSON object per line.
 *
 * `{ "image": "images/0001.png", "text": "limit 80 .", "parents": { "weather": "snow" }, "answer": "icy" }`. Every line is checked,
 * and all problems are reported at once.
 */
import { encodingProblem, type TaskSpec } from '@contextlora/task-graph';

import { TrainerError } from '../trainer-error.js';
import { openRowReader, type RowRules } from './read-row.js';
import type { TaskRow } from './task-rows.js';

/** The rows of a data file, and what is wrong with the others. */
export interface DataFile {
  readonly rows: readonly TaskRow[];
  /** The line of each row, from 1. */
  readonly lines: readonly number[];
  /** The first problems, each with its line. */
  readonly problems: readonly string[];
  /** The number of all problems. */
  readonly problemCount: number;
}

/** The most problems of a file that are described. */
const describedProblems = 100;

/** Checks the JSONL text of a task line by line, in linear time; image paths stay as written. */
export function checkDataFile(source: string, task: TaskSpec, rules: RowRules = {}): DataFile {
  const text = source.startsWith('\uFEFF') ? source.slice(1) : source;
  const only = (problem: string): DataFile => ({ rows: [], lines: [], problems: [problem], problemCount: 1 });
  const encoding = encodingProblem(text);
  if (encoding) return only(`line ${encoding.line}: ${encoding.message}`);
  if (/^\s*\[/.test(text))
    return only('line 1: the file begins as a JSON list; write one object per line, as "jq -c .[]" does');
  const readRow = openRowReader(task, rules);
  const [rows, lines, problems]: [TaskRow[], number[], string[]] = [[], [], []];
  let problemCount = 0;
  // A raw line end is never within a JSON string.
  for (const [index, line] of text.split(/\r\n|\n|\r/).entries()) {
    if (line.trim() === '') continue;
    const row = readRow(line);
    if ('answer' in row) {
      rows.push(row);
      lines.push(index + 1);
      continue;
    }
    problemCount += row.length;
    for (const describe of row.slice(0, describedProblems - problems.length))
      problems.push(`line ${index + 1}: ${describe()}`);
  }
  if (problemCount === 0 && rows.length === 0) return only('the file has no rows');
  return { rows, lines, problems, problemCount };
}

/**
 * Parses and checks the JSONL text of a task; `path` stands for the file in messages, image paths stay as written.
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
  return rows;
}
