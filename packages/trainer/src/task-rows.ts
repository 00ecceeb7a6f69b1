/**
 * Labelled examples on disk: one JSON object a line, with the image beside it.
 *
 * `{ "image": "images/0001.png", "text": "limit 80 .", "parents": { "weather": "snow" }, "answer": "icy" }`. A reader checks
 * every line and reports all problems at once.
 */
import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

import type { TaskSpec } from '@contextlora/task-graph';

export interface TaskRow {
  /** Absolute path; absent for a text-only task. */
  readonly image?: string;
  /** The row's own input text, for the instruction's `{text}` slot. */
  readonly text: string;
  /** Gold answers of the tasks whose answers the instruction has slots for. */
  readonly parents: Readonly<Record<string, string>>;
  readonly answer: string;
}

/** A data file that cannot be used; `problems` has one entry a line of the file. */
export class TaskDataError extends Error {
  override readonly name = 'TaskDataError';
  readonly problems: readonly string[];
  constructor(path: string, problems: readonly string[]) {
    const shown = problems.slice(0, 20).map((problem) => `  ${problem}`);
    const rest = problems.length > 20 ? [`  … and ${problems.length - 20} more`] : [];
    super([`trainer/readTaskRows: ${path}:`, ...shown, ...rest].join('\n'));
    this.problems = problems;
  }
}

const maximumBytes = 256 * 1024 * 1024;

/**
 * Reads and checks a JSONL file of a task.
 *
 * @throws TaskDataError when the file is missing or any line is malformed, has an answer that is no label of the task, or lacks a
 * parent's answer that the instruction asks for.
 */
export async function readTaskRows(path: string, task: TaskSpec): Promise<TaskRow[]> {
  const info = await stat(path).catch(() => undefined);
  if (!info?.isFile())
    throw new TaskDataError(path, [
      `no such file; task "${task.id}" names it in its data; make it, or correct the path in the task file`,
    ]);
  if (info.size > maximumBytes)
    throw new TaskDataError(path, [`${info.size} bytes; at most ${maximumBytes} are read; split the file`]);

  const problems: string[] = [];
  const rows = (await readFile(path, 'utf8')).split('\n').flatMap((line, index) => {
    if (line.trim() === '') return [];
    const row = parseRow(line, task, dirname(path));
    if (typeof row !== 'string') return [row];
    problems.push(`line ${index + 1}: ${row}`);
    return [];
  });
  if (problems.length === 0 && rows.length === 0) problems.push('the file has no rows');
  if (problems.length > 0) throw new TaskDataError(path, problems);
  return rows;
}

/** A row, or what is wrong with it. */
function parseRow(line: string, task: TaskSpec, directory: string): TaskRow | string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    return `not JSON (${(cause as Error).message})`;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'not a JSON object';
  const { image, text = '', parents = {}, answer } = value as Record<string, unknown>;
  if (typeof answer !== 'string') return `"answer" must be a string, got ${kindOf(answer)}`;
  if (typeof text !== 'string') return `"text" must be a string, got ${kindOf(text)}`;
  if (image !== undefined && typeof image !== 'string') return `"image" must be a path, got ${kindOf(image)}`;
  if (image === undefined && task.inputs.includes('image'))
    return `task "${task.id}" takes an image, and the row has none`;
  if (task.answer.type === 'label' && !task.answer.labels.includes(answer))
    return `answer "${answer}" is no label of task "${task.id}" (${task.answer.labels.join(', ')})`;
  if (typeof parents !== 'object' || parents === null)
    return `"parents" must be an object, got ${kindOf(parents)}`;
  const answers = new Map(Object.entries(parents));
  for (const parent of answerSlots(task)) {
    const given: unknown = answers.get(parent);
    if (typeof given !== 'string')
      return `the instruction of "${task.id}" has a slot for "${parent}", and "parents" has no answer of it`;
  }
  return {
    ...(image === undefined ? {} : { image: resolve(directory, image) }),
    text,
    parents: Object.fromEntries([...answers].map(([id, given]) => [id, String(given)])),
    answer,
  };
}

/** The tasks whose answers the instruction of a task asks for, in the order of its dependencies. */
export function answerSlots(task: TaskSpec): string[] {
  return task.dependsOn.filter((id) => task.instruction.includes(`{${id}}`));
}

const kindOf = (value: unknown) => (value === null ? 'null' : Array.isArray(value) ? 'a list' : typeof value);
