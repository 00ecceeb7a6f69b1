/** Finds the rows that a model cannot read as they are before anything is trained: too long ones are refused, skipped or shortened, others refused. */
import { setImmediate } from 'node:timers/promises';

import type { LoadedModel } from '@contextlora/model';
import type { RowList, TaskRow } from '@contextlora/trainer';

import { eachSplit, entriesOf, lineOf, type Split } from './each-split.js';
import { dataInvalid, type SourceProblems } from './list-problems.js';
import { openRowLengths, type RowLengthOptions, type RowProblem, tokenLimit } from './row-lengths.js';
import type { RowSource, TaskData } from './task-data.js';

/**
 * What to do with rows that are too long: refuse them; leave training rows out; or cut the text that fills the slot `{text}`.
 *
 * Rows to be answered are never left out: the accuracy would be that of easier rows. They are cut, as a text in use would be, or refused.
 */
export type LongRows = 'refuse' | 'skip' | 'truncate';

/** Rows that were changed. */
export interface LongRowChange {
  readonly task: string;
  /** For example `training rows` or `rows of the test set "night"`. */
  readonly rows: string;
  readonly change: 'skipped' | 'truncated';
  readonly changed: number;
  readonly of: number;
}

export interface FittedData {
  readonly data: TaskData;
  readonly changes: readonly LongRowChange[];
}

export interface FitRowsOptions extends RowLengthOptions {
  /** @default 'refuse' */
  readonly longRows?: LongRows;
  /** Where `truncate` cuts a text. @default 'right' */
  readonly truncationSide?: TruncationSide;
}

/** The end or the beginning of a text. */
export type TruncationSide = 'right' | 'left';

/** Rows between two reports of progress. */
const reportedRows = 500;

/**
 * Counts the tokens of every row for a model and yields the number of rows done.
 *
 * @throws FinetuneError (`FINETUNE_DATA_INVALID`) listing the rows that are too long and were to be refused or cannot be shortened, and those
 * that spell a token which stands for a picture.
 */
export async function* fitRows(
  model: LoadedModel,
  data: TaskData,
  { longRows = 'refuse', truncationSide = 'right', ...options }: FitRowsOptions = {},
): AsyncGenerator<{ done: number; total: number }, FittedData> {
  const splits = [...eachSplit(data)];
  const total = splits.reduce((sum, { rows }) => sum + rows.length, 0);
  const problemOf = openRowLengths(model, data, options);
  const problems: SplitProblems[] = [];
  const changes: LongRowChange[] = [];
  const fitted = new Map<Split, KeptRows>();
  let done = 0;
  for (const split of splits) {
    const { task, title, rows } = split;
    const kept = { indices: [] as number[], shortened: new Map<number, TaskRow>() };
    const found: SplitProblems = { split, problems: [], problemCount: 0, areTooLong: false };
    let changed = 0;
    for (const [i, row] of entriesOf(rows)) {
      const problem = problemOf(split, row);
      if (!problem) kept.indices.push(i);
      else if (longRows === 'skip' && split.kind === 'train' && problem.isTooLong) changed += 1;
      else {
        const shorter =
          longRows === 'truncate' && problem.isTextTooLong
            ? shorten(row, (one) => problemOf(split, one) === undefined, {
                most: charactersPerToken * tokenLimit(model, options),
                side: truncationSide,
              })
            : undefined;
        if (shorter) {
          changed += 1;
          kept.indices.push(i);
          kept.shortened.set(i, shorter);
        } else addProblem(found, i, problem);
      }
      done += 1;
      if (done % reportedRows === 0) {
        yield { done, total };
        await setImmediate();
      }
    }
    if (changed > 0) {
      const change = longRows === 'skip' ? 'skipped' : 'truncated';
      changes.push({ task, rows: title, change, changed, of: rows.length });
    }
    if (rows.length > 0 && kept.indices.length === 0 && found.problemCount === 0)
      addProblem(found, 0, {
        message: 'all rows are too long, so none is left',
        isTooLong: true,
        isTextTooLong: false,
      });
    if (found.problemCount > 0) problems.push(found);
    fitted.set(split, kept);
  }
  yield { done, total };
  if (problems.length > 0) throw unfitting('fitRows', problems, longRows);
  return { data: changes.length === 0 ? data : withRows(data, fitted), changes };
}

/**
 * Checks the same at once, without progress.
 *
 * @throws FinetuneError (`FINETUNE_DATA_INVALID`) listing the rows that are too long.
 */
export function requireFittingRows(model: LoadedModel, data: TaskData, options: RowLengthOptions = {}): void {
  const problemOf = openRowLengths(model, data, options);
  const problems: SplitProblems[] = [];
  for (const split of eachSplit(data)) {
    const found: SplitProblems = { split, problems: [], problemCount: 0, areTooLong: false };
    for (const [i, row] of entriesOf(split.rows)) {
      const problem = problemOf(split, row);
      if (problem) addProblem(found, i, problem);
    }
    if (found.problemCount > 0) problems.push(found);
  }
  if (problems.length > 0) throw unfitting('prepareRun', problems, 'refuse');
}

interface SplitProblems {
  readonly split: Split;
  readonly problems: string[];
  problemCount: number;
  /** Whether one of them is about the number of tokens. */
  areTooLong: boolean;
}

function addProblem(found: SplitProblems, index: number, { message, isTooLong }: RowProblem): void {
  found.problemCount += 1;
  found.areTooLong ||= isTooLong;
  if (found.problems.length < 100) found.problems.push(`${lineOf(found.split.source, index)}: ${message}`);
}

const sourceProblems = ({ split, problems, problemCount }: SplitProblems): SourceProblems => ({
  path: split.source?.path ?? `the ${split.title} of task "${split.task}"`,
  problems,
  problemCount,
});

function unfitting(where: string, problems: readonly SplitProblems[], longRows: LongRows) {
  const wayOut = {
    refuse:
      'shorten them, or choose what happens to long rows: skip (training rows only) or truncate (cuts the text)',
    skip: 'rows to be answered are not skipped, because the accuracy would be that of easier rows; shorten them, or truncate long rows',
    truncate: 'these cannot be fitted by cutting their text; shorten them',
  }[longRows];
  const areTooLong = problems.some((found) => found.areTooLong);
  return dataInvalid(where, problems.map(sourceProblems), areTooLong ? wayOut : undefined);
}

/** No token of any usual vocabulary has more characters on average. */
const charactersPerToken = 64;

/** The row with as much of its text as fits; undefined if not even a little does. */
function shorten(
  row: TaskRow,
  fits: (row: TaskRow) => boolean,
  { most, side }: { most: number; side: TruncationSide },
): TaskRow | undefined {
  const { text } = row;
  // Whole characters: half of a pair is none.
  const characters = Array.from(side === 'right' ? text.slice(0, most) : text.slice(-most));
  const kept = (length: number) =>
    side === 'right'
      ? characters.slice(0, length).join('').trimEnd()
      : characters
          .slice(characters.length - length)
          .join('')
          .trimStart();
  const cut = (length: number): TaskRow => ({ ...row, text: kept(length) });
  let [fitting, tooMany] = [0, characters.length + 1];
  while (tooMany - fitting > 1) {
    const middle = Math.floor((fitting + tooMany) / 2);
    if (fits(cut(middle))) fitting = middle;
    else tooMany = middle;
  }
  const shorter = cut(fitting);
  return shorter.text.trim() === '' ? undefined : shorter;
}

/** Which rows of a split are left, and those of them that were shortened. */
interface KeptRows {
  readonly indices: readonly number[];
  readonly shortened: ReadonlyMap<number, TaskRow>;
}

/** The data with the rows that are left, and their lines. */
function withRows(data: TaskData, fitted: ReadonlyMap<Split, KeptRows>): TaskData {
  const of = (task: string, kind: Split['kind']) =>
    [...fitted].filter(([split]) => split.task === task && split.kind === kind);
  const listOf = (entries: readonly [Split, KeptRows][]): readonly TaskRow[] =>
    entries.slice(0, 1).flatMap(([split, kept]) => [...keptRows(split.rows, kept)]);
  const sourceOf = ([{ source }, { indices }]: [Split, KeptRows]): RowSource => ({
    ...source,
    path: source?.path ?? '',
    lines: indices.map((index) => source?.lines[index] ?? index + 1),
  });
  const tasks = data.file.tasks.map(({ id }) => id);
  const rows = Object.fromEntries(
    tasks.map((id) => {
      const [train] = of(id, 'train');
      return [
        id,
        {
          train: train ? keptRows(train[0].rows, train[1]) : [],
          validation: listOf(of(id, 'validation')),
          tests: Object.fromEntries(of(id, 'test').map((one) => [one[0].test, listOf([one])])),
        },
      ];
    }),
  );
  if (!data.sources) return { ...data, rows };
  const sources = Object.fromEntries(
    tasks.map((id) => {
      const [train, validation] = [of(id, 'train')[0], of(id, 'validation')[0]];
      return [
        id,
        {
          ...(train?.[0].source ? { train: sourceOf(train) } : {}),
          ...(validation?.[0].source ? { validation: sourceOf(validation) } : {}),
          tests: Object.fromEntries(of(id, 'test').map((one) => [one[0].test, sourceOf(one)])),
        },
      ];
    }),
  );
  return { ...data, rows, sources };
}

/** The rows that are left; those of a list as a list, others read when they are asked for. */
function keptRows(rows: RowList, { indices, shortened }: KeptRows): RowList {
  const rowOf = (index: number) => shortened.get(index) ?? rows.at(index);
  if (Array.isArray(rows)) return indices.flatMap((index) => rowOf(index) ?? []);
  return {
    length: indices.length,
    at: (i) => {
      const index = indices.at(i);
      return index === undefined ? undefined : rowOf(index);
    },
    *[Symbol.iterator]() {
      for (const index of indices) {
        const row = rowOf(index);
        if (row) yield row;
      }
    },
  };
}
