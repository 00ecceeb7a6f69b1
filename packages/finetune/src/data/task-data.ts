/** What a run trains and evaluates on. */
import type { TaskFile, TaskGraph } from '@contextlora/task-graph';
import type { RowList, RowUnit, TaskRow } from '@contextlora/trainer';

/** The rows of one task, by purpose. */
export interface TaskSplits {
  /** In memory, or read from their file when they are asked for. */
  readonly train: RowList;
  readonly validation: readonly TaskRow[];
  /** Test sets by name. */
  readonly tests: Readonly<Record<string, readonly TaskRow[]>>;
}

/** The file or folder that rows were read from, and the line (or row, picture or sound) of each of them, from 1. */
export interface RowSource {
  readonly path: string;
  readonly lines: readonly number[];
  /** What `lines` counts. @default 'line' */
  readonly unit?: RowUnit;
}

/** The sources of {@link TaskSplits}; absent where the task file names none. */
export interface SplitSources {
  readonly train?: RowSource;
  readonly validation?: RowSource;
  readonly tests: Readonly<Record<string, RowSource>>;
}

export interface TaskData {
  readonly file: TaskFile;
  readonly graph: TaskGraph;
  /** Task → rows. */
  readonly rows: Readonly<Record<string, TaskSplits>>;
  /** Task → where its rows come from; absent if they come from no file. */
  readonly sources?: Readonly<Record<string, SplitSources>>;
  /** The samples of 16 kHz of each sound, by its path; absent if there are none. */
  readonly sounds?: ReadonlyMap<string, number>;
}

/** Data from files. */
export interface ReadTaskData extends TaskData {
  readonly sources: Readonly<Record<string, SplitSources>>;
  readonly sounds: ReadonlyMap<string, number>;
  /** What looks wrong and yet may be meant: test rows that are training rows, one input with two answers, labels that are never taught. */
  readonly warnings: readonly string[];
}

/** Name of a task's main test set, which is its first; empty if it has none. */
export const mainTestOf = ({ rows }: TaskData, task: string): string =>
  Object.keys(rows[task]?.tests ?? {})[0] ?? '';

/** The rows of a task's main test set. */
export const mainTestRows = (data: TaskData, task: string): readonly TaskRow[] =>
  data.rows[task]?.tests[mainTestOf(data, task)] ?? [];

/** Paths of all images of a run, each once. */
export const imagesOf = (data: TaskData): string[] => filesOf(data, 'image');

/** Paths of all sounds of a run, each once. */
export const soundsOf = (data: TaskData): string[] => filesOf(data, 'audio');

function filesOf({ rows }: TaskData, kind: 'image' | 'audio'): string[] {
  const files = new Set<string>();
  for (const { train, validation, tests } of Object.values(rows))
    for (const list of [train, validation, ...Object.values(tests)])
      for (const { [kind]: file } of list) if (file !== undefined) files.add(file);
  return [...files];
}
