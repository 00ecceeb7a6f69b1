/**
 * Labelled examples: one JSON object per line.
 *
 * `{ "image": "images/0001.png", "text": "limit 80 .", "parents": { "weather": "snow" }, "answer": "icy" }`. Every line is checked,
 * and all problems are reported at once.
 */
import type { TaskSpec } from '@contextlora/task-graph';

import { TrainerError } from '../trainer-error.js';

/** A line of a data file. */
export interface TaskRow {
  /** Path of the image; absent for a text-only task. */
  readonly image?: string;
  /** The input text of the row, for the slot `{text}` of the instruction. */
  readonly text: string;
  /** Gold answers of the tasks that the instruction has slots for. */
  readonly parents: Readonly<Record<string, string>>;
  readonly answer: string;
}

/**
 * Parses and checks the JSONL text of a task; `path` stands for the file in messages, image paths stay as written.
 *
 * @throws TrainerError (`TRAINER_DATA_INVALID`) when there is no row, or any line is malformed, has an answer that is not a label of the
 * task, or lacks the answer of a parent that the instruction asks for.
 */
export function parseTaskRows(source: string, task: TaskSpec, path = 'the data'): TaskRow[] {
  const problems: string[] = [];
  const rows = source.split('\n').flatMap((line, index) => {
    if (line.trim() === '') return [];
    const row = parseRow(line, task);
    if (typeof row !== 'string') return [row];
    problems.push(`line ${index + 1}: ${row}`);
    return [];
  });
  if (problems.length === 0 && rows.length === 0) problems.push('the file has no rows');
  if (problems.length > 0)
    throw new TrainerError('TRAINER_DATA_INVALID', 'readTaskRows', `${path}:`, { problems });
  return rows;
}

/** A row, or what is wrong with it. */
function parseRow(line: string, task: TaskSpec): TaskRow | string {
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
    return `task "${task.id}" takes an image, but the row has none`;
  if (task.answer.type === 'label' && !task.answer.labels.includes(answer))
    return `answer "${answer}" is not a label of task "${task.id}" (${task.answer.labels.join(', ')})`;
  if (typeof parents !== 'object' || parents === null)
    return `"parents" must be an object, got ${kindOf(parents)}`;
  const answers = new Map(Object.entries(parents));
  for (const parent of answerSlots(task)) {
    const given: unknown = answers.get(parent);
    if (typeof given !== 'string')
      return `the instruction of "${task.id}" has a slot for "${parent}", but "parents" has no answer for it`;
  }
  return {
    ...(image === undefined ? {} : { image }),
    text,
    parents: Object.fromEntries([...answers].map(([id, given]) => [id, String(given)])),
    answer,
  };
}

/** The parents whose answers the instruction of a task asks for, in the order of its dependencies. */
export function answerSlots(task: TaskSpec): string[] {
  return task.dependsOn.filter((id) => task.instruction.includes(`{${id}}`));
}

const kindOf = (value: unknown) => (value === null ? 'null' : Array.isArray(value) ? 'a list' : typeof value);
