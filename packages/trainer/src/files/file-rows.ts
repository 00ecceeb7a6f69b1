/** A JSONL file that is larger than memory should hold: checked line by line once, its rows read when they are asked for. */
import { closeSync, openSync, readSync } from 'node:fs';
import { open } from 'node:fs/promises';

import { decodeText, type TaskSpec } from '@contextlora/task-graph';

import { collectRows, type DataFile, onlyProblem } from '../answers/data-file.js';
import { isJsonList, jsonListProblem } from '../answers/parse-rows.js';
import { maximumCharacters, openLineReader } from '../answers/read-line.js';
import type { RowRules } from '../answers/read-row.js';
import type { RowList, TaskRow } from '../answers/task-rows.js';
import { TrainerError } from '../trainer-error.js';

/** Bytes read at once; more than the longest line has, at four bytes a character. */
const blockBytes = 8 * maximumCharacters;

/** Reads the whole file once; what stays in memory is where each row begins. `place` makes a row's paths absolute. */
export async function openFileRows(
  path: string,
  task: TaskSpec,
  { place, ...rules }: RowRules & { readonly place: (row: TaskRow) => TaskRow },
): Promise<DataFile> {
  const readLine = openLineReader(task, rules);
  const [starts, ends]: [number[], number[]] = [[], []];
  let span = { start: 0, end: 0 };
  const found = collectRows('line', () => {
    starts.push(span.start);
    ends.push(span.end);
  });
  let lineCount = 0;
  for await (const { bytes, offset } of wholeLines(path)) {
    const problem = offset === 0 ? headProblem(bytes) : undefined;
    if (problem !== undefined) return onlyProblem(problem);
    for (const { start, end } of linesOf(bytes)) {
      lineCount += 1;
      span = { start: offset + start, end: offset + end };
      const line = decodeText(bytes.subarray(start, end));
      if (typeof line !== 'string') return onlyProblem(`line ${lineCount}: ${line.message}`);
      if (line.trim() !== '') found.add(lineCount, readLine(line));
    }
  }
  const rowOf = (bytes: Buffer, index: number): TaskRow => {
    const line = decodeText(bytes);
    const row = typeof line === 'string' ? readLine(line) : [];
    if ('answer' in row) return place(row);
    throw new TrainerError(
      'TRAINER_DATA_INVALID',
      'readDataFile',
      `${path}: row ${index + 1} is not what it was when the run began; leave the file alone until the run has ended, and start again`,
    );
  };
  return { ...found.dataFile(), rows: fileRows(path, { starts, ends, rowOf }) };
}

/** The rows between the given offsets; each is read from the file when it is asked for. */
function fileRows(
  path: string,
  {
    starts,
    ends,
    rowOf,
  }: {
    readonly starts: readonly number[];
    readonly ends: readonly number[];
    readonly rowOf: (bytes: Buffer, index: number) => TaskRow;
  },
): RowList {
  const readAt = (file: number, index: number): TaskRow => {
    const [start, end] = [starts[index] ?? 0, ends[index] ?? 0];
    const bytes = Buffer.alloc(end - start);
    readSync(file, bytes, 0, bytes.length, start);
    return rowOf(bytes, index);
  };
  return {
    length: starts.length,
    at(index) {
      if (!(index >= 0 && index < starts.length)) return undefined;
      const file = openSync(path, 'r');
      try {
        return readAt(file, index);
      } finally {
        closeSync(file);
      }
    },
    *[Symbol.iterator]() {
      const file = openSync(path, 'r');
      try {
        for (const index of starts.keys()) yield readAt(file, index);
      } finally {
        closeSync(file);
      }
    },
  };
}

/** The file in blocks that end with a line. */
async function* wholeLines(path: string): AsyncGenerator<{ bytes: Buffer; offset: number }> {
  const file = await open(path, 'r');
  try {
    let [offset, rest] = [0, Buffer.alloc(0)];
    for (;;) {
      const block = Buffer.alloc(blockBytes);
      const { bytesRead } = await file.read(block, 0, blockBytes, offset + rest.length);
      const bytes = Buffer.concat([rest, block.subarray(0, bytesRead)]);
      const isLast = bytesRead === 0;
      const end = isLast ? bytes.length : bytes.lastIndexOf(newline) + 1;
      if (end > 0) yield { bytes: bytes.subarray(0, end), offset };
      if (isLast) return;
      // A line longer than a block grows it until it ends; it is refused then.
      [offset, rest] = [offset + end, bytes.subarray(end)];
    }
  } finally {
    await file.close();
  }
}

const newline = 0x0a;
const carriageReturn = 0x0d;

/** Where lines begin and end; as in a text, `\r`, `\n` and `\r\n` end one. */
function* linesOf(bytes: Buffer): Generator<{ start: number; end: number }> {
  let start = 0;
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] !== newline && bytes[i] !== carriageReturn) continue;
    yield { start, end: i };
    if (bytes[i] === carriageReturn && bytes[i + 1] === newline) i += 1;
    start = i + 1;
  }
  if (start < bytes.length) yield { start, end: bytes.length };
}

/** What the first bytes show: another encoding, or a JSON list. */
function headProblem(bytes: Buffer): string | undefined {
  const [first] = linesOf(bytes);
  const text = decodeText(bytes.subarray(0, first?.end ?? bytes.length));
  if (typeof text !== 'string') return `line ${text.line}: ${text.message}`;
  return isJsonList(text) ? jsonListProblem : undefined;
}
