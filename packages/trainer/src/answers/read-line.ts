/** One line of a JSONL file: from JSON to a row, or everything that is wrong with it. */
import { quoteText, showText, type TaskSpec } from '@contextlora/task-graph';

import { openRowReader, type RowRules } from './read-row.js';
import type { Describe } from './row-forms.js';
import { repeatedKeys } from './repeated-keys.js';
import type { TaskRow } from './task-rows.js';

export const maximumCharacters = 1_000_000;

/** Returns a function that reads lines for a task under the rules. */
export function openLineReader(
  task: TaskSpec,
  rules: RowRules = {},
): (line: string) => TaskRow | readonly Describe[] {
  const readRow = openRowReader(task, rules);
  return (line) => {
    if (line.length > maximumCharacters)
      return [() => `${line.length} characters; a line has at most ${maximumCharacters}`];
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (cause) {
      return [() => `not JSON (${showText((cause as Error).message)})`];
    }
    const repeated = repeatedKeys(line).map(
      (key) => () => `the key ${quoteText(key)} is given twice; keys must be unique`,
    );
    const row = readRow(value);
    if (repeated.length === 0) return row;
    return 'answer' in row ? repeated : [...repeated, ...row];
  };
}
