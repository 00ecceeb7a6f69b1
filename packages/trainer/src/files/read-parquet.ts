/** Tables in Parquet: columns as in a CSV file, or as the keys of a JSONL row, lists and structures included. */
import type { TaskSpec } from '@contextlora/task-graph';

import { collectRows, type DataFile, onlyProblem } from '../answers/data-file.js';
import { openRowReader, type RowRules } from '../answers/read-row.js';

/** Reads a file row group by row group; a file that is no Parquet, or whose data are larger than `maximumBytes`, is a problem. */
export async function readParquet(
  path: string,
  task: TaskSpec,
  { maximumBytes, ...rules }: RowRules & { readonly maximumBytes: number },
): Promise<DataFile> {
  // Read only for these files: they are modules of their own kind, and no other file needs them.
  const { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } = await import('hyparquet');
  const { compressors } = await import('hyparquet-compressors');
  const readRow = openRowReader(task, rules);
  const found = collectRows('row');
  try {
    const file = await asyncBufferFromFile(path);
    const metadata = await parquetMetadataAsync(file);
    const size = metadata.row_groups.reduce((sum, group) => sum + Number(group.total_byte_size), 0);
    if (size > maximumBytes)
      return onlyProblem(
        `${size} bytes of data; at most ${maximumBytes} are read; split the file, or convert it to JSONL, of which training rows may be more`,
      );
    let rowStart = 0;
    for (const group of metadata.row_groups) {
      const rowEnd = rowStart + Number(group.num_rows);
      // Only columns that say that they hold text are text.
      const rows = await parquetReadObjects({ file, metadata, compressors, rowStart, rowEnd, utf8: false });
      for (const [i, row] of rows.entries()) found.add(rowStart + i + 1, readRow(plainValues(row)));
      rowStart = rowEnd;
    }
  } catch (cause) {
    return onlyProblem(`not a Parquet file that can be read (${(cause as Error).message})`);
  }
  return found.dataFile();
}

const parentColumn = /^parents\.(.+)$/;

/** A row as JSON would have it: cells without a value are left out, and columns `parents.<id>` are gathered. */
function plainValues(row: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const plain: Record<string, unknown> = {};
  const parents: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(row)) {
    const parent = parentColumn.exec(name)?.[1];
    const given = withoutNulls(value);
    if (given === undefined) continue;
    if (parent === undefined) plain[name] = given;
    else parents[parent] = given;
  }
  if (Object.keys(parents).length > 0)
    plain['parents'] = { ...(plain['parents'] as Record<string, unknown> | undefined), ...parents };
  return plain;
}

/** In a structure every row has every field; those that it was not given are null. */
function withoutNulls(value: unknown): unknown {
  if (value === null || value === undefined) return undefined;
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map((item: unknown) => withoutNulls(item) ?? null);
  if (typeof value !== 'object' || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, one]) => {
      const given = withoutNulls(one);
      return given === undefined ? [] : [[key, given]];
    }),
  );
}
