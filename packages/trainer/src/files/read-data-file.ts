/** The data of a task, on disk, in any form: JSONL, CSV, Parquet, or a folder of pictures or sounds for each label. */
import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

import { ifThere } from '@contextlora/lora/files';
import { decodeText, type TaskSpec } from '@contextlora/task-graph';

import { type DataFile, onlyProblem } from '../answers/data-file.js';
import { checkDataFile } from '../answers/parse-rows.js';
import type { RowRules } from '../answers/read-row.js';
import type { TaskRow } from '../answers/task-rows.js';
import { checkCsv } from './check-csv.js';
import { openFileRows } from './file-rows.js';
import { readLabelFolders } from './read-label-folders.js';
import { readParquet } from './read-parquet.js';

export interface ReadDataFileOptions extends RowRules {
  /**
   * JSONL files of training rows that are larger are checked once and their rows read when they are drawn; other files are refused.
   *
   * @default 256 MiB
   */
  readonly maximumBytes?: number;
}

/**
 * Reads and checks the data of a task; the form follows from the name: `.csv`, `.tsv`, `.parquet`, a folder, or else JSONL. Paths of images and sounds
 * become absolute, relative to the folder of the file.
 *
 * A file that is missing, too large or in another encoding than UTF-8 is a problem like any other.
 */
export async function readDataFile(
  path: string,
  task: TaskSpec,
  { maximumBytes = 256 * 1024 * 1024, ...rules }: ReadDataFileOptions = {},
): Promise<DataFile> {
  const unreadable = ({ code, message }: NodeJS.ErrnoException) =>
    onlyProblem(`cannot be read (${code ?? message})`);
  const info = await ifThere(stat(path)).catch((cause: unknown) => cause as NodeJS.ErrnoException);
  if (info && 'message' in info) return unreadable(info);
  if (info?.isDirectory()) return readLabelFolders(path, task, rules);
  if (info && !info.isFile())
    return onlyProblem('not a file, but a pipe or a device; write its content to a file, and name that');
  if (!info)
    return onlyProblem(
      `no such file; task "${task.id}" names it in its data; create it, or correct the path in the task file`,
    );
  const form = /\.(csv|tsv|parquet)$/i.exec(path)?.[1]?.toLowerCase() ?? 'jsonl';
  const place = (row: TaskRow): TaskRow => inFolder(dirname(path), row);
  if (info.size > maximumBytes)
    return form === 'jsonl' && rules.purpose !== 'answer'
      ? openFileRows(path, task, { ...rules, place })
      : onlyProblem(
          `${info.size} bytes; at most ${maximumBytes} are read; split the file` +
            (form === 'jsonl' ? '' : ', or convert it to JSONL, of which training rows may be more'),
        );
  if (form === 'parquet') return placed(await readParquet(path, task, { ...rules, maximumBytes }), place);
  const bytes = await readFile(path).catch((cause: unknown) => cause as NodeJS.ErrnoException);
  if (!Buffer.isBuffer(bytes)) return unreadable(bytes);
  const text = decodeText(bytes);
  if (typeof text !== 'string') return onlyProblem(`line ${text.line}: ${text.message}`);
  if (form === 'jsonl') return placed(checkDataFile(text, task, rules), place);
  return placed(checkCsv(text, task, { ...rules, delimiter: form === 'tsv' ? '\t' : ',' }), place);
}

const inFolder = (folder: string, { image, audio, ...row }: TaskRow): TaskRow => ({
  ...(image === undefined ? {} : { image: resolve(folder, image) }),
  ...(audio === undefined ? {} : { audio: resolve(folder, audio) }),
  ...row,
});

const placed = ({ rows, ...rest }: DataFile, place: (row: TaskRow) => TaskRow): DataFile => ({
  ...rest,
  rows: Array.from(rows, place),
});
