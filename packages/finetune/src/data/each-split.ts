/** Goes through all rows of a run, whatever their purpose. */
import type { RowList, TaskRow } from '@contextlora/trainer';

import type { RowSource, TaskData } from './task-data.js';

/** Rows with one purpose. */
export interface Split {
  readonly task: string;
  readonly kind: 'train' | 'validation' | 'test';
  /** As a person calls it: `training rows`, `validation rows`, or the rows of a test set. */
  readonly title: string;
  /** Of a test set; otherwise empty. */
  readonly test: string;
  readonly rows: RowList;
  readonly source: RowSource | undefined;
}

/** The splits of all tasks, in the order of the task file; a task's training rows come first. */
export function* eachSplit({ file, rows, sources }: TaskData): Generator<Split> {
  for (const { id: task } of file.tasks) {
    const [splits, from] = [rows[task], sources?.[task]];
    if (!splits) continue;
    const { train, validation, tests } = splits;
    yield { task, kind: 'train', title: 'training rows', test: '', rows: train, source: from?.train };
    yield {
      task,
      kind: 'validation',
      title: 'validation rows',
      test: '',
      rows: validation,
      source: from?.validation,
    };
    for (const [test, testRows] of Object.entries(tests))
      yield {
        task,
        kind: 'test',
        title: `rows of the test set "${test}"`,
        test,
        rows: testRows,
        source: from?.tests[test],
      };
  }
}

/** The rows of a list with their indices. */
export function* entriesOf(rows: RowList): Generator<[number, TaskRow]> {
  let index = 0;
  for (const row of rows) yield [index++, row];
}

/** Where a row of a source stands, as problems name it. */
export const lineOf = (source: RowSource | undefined, index: number): string =>
  `${source?.unit ?? 'line'} ${source?.lines[index] ?? index + 1}`;

/** Where a row stands, for a person; its number where it comes from no file. */
export const placeOf = ({ source, task, title }: Split, index: number): string =>
  source
    ? `${source.path}${(source.unit ?? 'line') === 'line' ? ':' : `, ${source.unit} `}${source.lines[index] ?? 0}`
    : `row ${index + 1} of the ${title} of task "${task}"`;
