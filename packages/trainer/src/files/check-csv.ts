/** Tables in CSV (RFC 4180) or TSV: a first line with the names of the columns, then a row per record. */
import { nearestSpelling, quoteText, type TaskSpec } from '@contextlora/task-graph';
import { CsvError, parse } from 'csv-parse/sync';

import { collectRows, type DataFile, onlyProblem } from '../answers/data-file.js';
import { maximumCharacters } from '../answers/read-line.js';
import { openRowReader, type RowRules } from '../answers/read-row.js';
import type { Describe } from '../answers/row-forms.js';
import type { TaskRow } from '../answers/task-rows.js';

interface CsvRecord {
  readonly record: readonly string[];
  readonly info: { readonly lines: number };
  readonly raw: string;
}

/**
 * Checks the text of a table; its columns are `image`, `audio`, `text` (or `prompt`), `answer` (or `completion`), and `parents.<id>` for the answer of
 * a parent. An empty cell is none.
 */
export function checkCsv(
  text: string,
  task: TaskSpec,
  { delimiter, ...rules }: RowRules & { readonly delimiter: string },
): DataFile {
  let records: CsvRecord[];
  try {
    records = parse(text, {
      delimiter,
      info: true,
      raw: true,
      relax_column_count: true,
      skip_empty_lines: true,
      max_record_size: maximumCharacters,
    }) as unknown as CsvRecord[];
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    return onlyProblem(
      `line ${Number(error['lines'] ?? 1)}: not CSV (${error.message.replace(/ at line \d+.*$/, '')})`,
    );
  }
  const [header, ...body] = records;
  if (!header) return onlyProblem('the file has no rows');
  const columns = header.record.map((name) => name.trim());
  const wrong = columnProblems(columns, task, delimiter);
  const found = collectRows('line');
  if (wrong.length > 0) {
    found.add(1, wrong);
    return found.dataFile();
  }
  const readRow = openRowReader(task, rules);
  const readRecord = (record: readonly string[]): TaskRow | readonly Describe[] =>
    record.length === columns.length
      ? readRow(rowOf(record, columns))
      : [() => `${record.length} cells, but the first line names ${columns.length} columns`];
  for (const { record, info, raw } of body) found.add(info.lines - lineEndsWithin(raw), readRecord(record));
  return found.dataFile();
}

const parentColumn = /^parents\.(.+)$/;
const plainColumns = ['image', 'audio', 'text', 'prompt', 'answer', 'completion'];

function columnProblems(columns: readonly string[], task: TaskSpec, delimiter: string): Describe[] {
  const known = [...plainColumns, ...task.dependsOn.map((id) => `parents.${id}`)];
  const other = delimiter === ',' ? [';', '\t'].find((one) => columns[0]?.includes(one)) : undefined;
  if (columns.length === 1 && other !== undefined)
    return [
      () =>
        `the columns are separated by ${other === ';' ? 'semicolons' : 'tabs'}; separate them by commas${other === ';' ? '' : ', or name the file .tsv'}`,
    ];
  return columns.flatMap((name, index) => {
    if (columns.indexOf(name) < index)
      return [() => `the column ${quoteText(name)} is named twice; names must be unique`];
    if (known.includes(name)) return [];
    const near = nearestSpelling(name, known);
    const help =
      near === undefined ? ` (known are ${known.join(', ')}); remove it` : `; did you mean "${near}"?`;
    return [() => `unknown column ${quoteText(name)}${help}`];
  });
}

function rowOf(record: readonly string[], columns: readonly string[]): Record<string, unknown> {
  const row: Record<string, unknown> = {};
  const parents: Record<string, string> = {};
  for (const [i, name] of columns.entries()) {
    const cell = record[i] ?? '';
    const parent = parentColumn.exec(name)?.[1];
    if (cell === '') continue;
    if (parent === undefined) row[name] = cell;
    else parents[parent] = cell;
  }
  return { ...row, parents };
}

/** Line ends within a record: a record counts where it begins. */
const lineEndsWithin = (raw: string) =>
  (raw.replace(/^[\r\n]+|[\r\n]+$/g, '').match(/\r\n|\n|\r/g) ?? []).length;
