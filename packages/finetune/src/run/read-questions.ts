/** A file of questions: one JSON object per line. */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

import { decodeText, nearestSpelling, quoteText, showText } from '@contextlora/task-graph';

import { dataInvalid } from '../data/list-problems.js';
import { FinetuneError } from '../finetune-error.js';
import { type OpenedRun, requireTrained } from './open-run.js';
import { type Question, questionProblems } from './question.js';

/** A line of the file. */
export interface NumberedQuestion extends Question {
  /** Whatever the line has as its "id", so that its answer can be found again. */
  readonly id?: string | number;
  /** From 1. */
  readonly line?: number;
}

const keys = ['id', 'task', 'text', 'image', 'audio', 'given'] as const;

/**
 * Reads `{ "id": 7, "task": "road", "text": "…", "image": "a.png", "given": { "weather": "snow" } }` line by line; only what the task takes is
 * needed. Paths of images and sounds are relative to the folder of the file. `task` is that of the lines that name none.
 *
 * @throws FinetuneError (`FINETUNE_DATA_INVALID`) listing every problem with its line.
 */
export async function readQuestions(
  path: string,
  run: OpenedRun,
  { task: defaultTask }: { readonly task?: string } = {},
): Promise<NumberedQuestion[]> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw dataInvalid('readQuestions', [
      { path, problems: [`cannot be read (${(cause as Error).message})`], problemCount: 1 },
    ]);
  });
  const text = decodeText(bytes);
  const problems: string[] = [];
  const questions: NumberedQuestion[] = [];
  if (typeof text !== 'string') problems.push(`line ${text.line}: ${text.message}`);
  for (const [index, line] of (typeof text === 'string' ? text : '').split(/\r\n|\n|\r/).entries()) {
    if (line.trim() === '') continue;
    const read = readLine(line, dirname(path), defaultTask);
    const found = Array.isArray(read) ? read : await problemsOf(run, read);
    problems.push(...found.map((problem) => `line ${index + 1}: ${problem}`));
    if (!Array.isArray(read)) questions.push({ ...read, line: index + 1 });
  }
  if (problems.length === 0 && questions.length === 0) problems.push('the file has no questions');
  if (problems.length > 0)
    throw dataInvalid('readQuestions', [{ path, problems, problemCount: problems.length }]);
  return questions;
}

async function problemsOf(run: OpenedRun, question: Question): Promise<string[]> {
  try {
    requireTrained(run, question.task);
  } catch (error) {
    if (!(error instanceof FinetuneError)) throw error;
    return [error.message.replace(/^[^:]*: /, '')];
  }
  return questionProblems(run, question);
}

function readLine(
  line: string,
  folder: string,
  defaultTask: string | undefined,
): NumberedQuestion | string[] {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    return [`not JSON (${showText((cause as Error).message)})`];
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return ['not a JSON object'];
  const fields = value as Record<string, unknown>;
  const problems = Object.keys(fields).flatMap((key) => {
    if (keys.some((known) => known === key)) return [];
    const near = nearestSpelling(key, keys);
    return [
      `unknown key ${quoteText(key)}${near === undefined ? `; known are ${keys.join(', ')}` : `; did you mean "${near}"?`}`,
    ];
  });
  const { id, task = defaultTask, text, image, audio, given } = fields;
  const mustBe = (key: string, what: string) => problems.push(`"${key}" must be ${what}`);
  if (id !== undefined && typeof id !== 'string' && typeof id !== 'number')
    mustBe('id', 'a string or a number');
  if (task === undefined) problems.push('"task" is missing, and --task names none');
  else if (typeof task !== 'string') mustBe('task', 'the name of a task');
  if (text !== undefined && typeof text !== 'string') mustBe('text', 'a string');
  if (image !== undefined && typeof image !== 'string') mustBe('image', 'a path');
  if (audio !== undefined && typeof audio !== 'string') mustBe('audio', 'a path');
  const isGiven = (one: unknown): one is Record<string, string> =>
    typeof one === 'object' &&
    one !== null &&
    !Array.isArray(one) &&
    Object.values(one).every((answer) => typeof answer === 'string');
  if (given !== undefined && !isGiven(given)) mustBe('given', 'an object of tasks and their answers');
  if (problems.length > 0) return problems;
  return {
    ...(id === undefined ? {} : { id: id as string | number }),
    task: task as string,
    ...(text === undefined ? {} : { text: text as string }),
    ...(image === undefined ? {} : { image: resolve(folder, image as string) }),
    ...(audio === undefined ? {} : { audio: resolve(folder, audio as string) }),
    ...(given === undefined ? {} : { given: given as Record<string, string> }),
  };
}
