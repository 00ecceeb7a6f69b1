/** What a data file holds, whatever its form. */
import type { Describe } from './row-forms.js';
import type { RowList, TaskRow } from './task-rows.js';

/** What the rows of a file are counted by: lines of a text, rows of a table, pictures or sounds of a folder. */
export type RowUnit = 'line' | 'row' | 'picture' | 'sound';

/** The rows of a data file, and what is wrong with the others. */
export interface DataFile<Rows extends RowList = RowList> {
  readonly rows: Rows;
  /** The line (or row, or picture) of each row, from 1. */
  readonly lines: readonly number[];
  /** @default 'line' */
  readonly unit?: RowUnit;
  /** The first problems, each with its line. */
  readonly problems: readonly string[];
  /** The number of all problems. */
  readonly problemCount: number;
}

/** The most problems of a file that are described. */
const describedProblems = 100;

/** A file that cannot be read at all. */
export const onlyProblem = (problem: string): DataFile<readonly TaskRow[]> => ({
  rows: [],
  lines: [],
  problems: [problem],
  problemCount: 1,
});

/** Collects what the rows of a file were read as. `keep` puts a row elsewhere than into memory. */
export function collectRows(unit: RowUnit, keep?: (row: TaskRow) => void) {
  const [rows, lines, problems]: [TaskRow[], number[], string[]] = [[], [], []];
  let problemCount = 0;
  return {
    add(line: number, read: TaskRow | readonly Describe[]): void {
      if ('answer' in read) {
        if (keep) keep(read);
        else rows.push(read);
        lines.push(line);
        return;
      }
      problemCount += read.length;
      for (const describe of read.slice(0, describedProblems - problems.length))
        problems.push(`${unit} ${line}: ${describe()}`);
    },
    dataFile(): DataFile<readonly TaskRow[]> {
      if (problemCount === 0 && lines.length === 0) return onlyProblem('the file has no rows');
      return { rows, lines, unit, problems, problemCount };
    },
  };
}
