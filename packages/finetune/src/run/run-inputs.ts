/**
 * What a run is made from, by content: two runs with the same inputs give the same bytes, wherever their files lie.
 *
 * Each input has a name for messages and its SHA-256, or its value where that is short.
 */
import { createHash } from 'node:crypto';

import { sha256 } from '@contextlora/lora/files';
import type { ModelDigests } from '@contextlora/model';
import type { TaskFile } from '@contextlora/task-graph';
import type { RowList, RunFingerprint } from '@contextlora/trainer';

import { imagesOf, soundsOf, type TaskData } from '../data/task-data.js';
import { FinetuneError } from '../finetune-error.js';
import { digestFile } from './digest-file.js';
import type { TrainSettings } from './train-settings.js';

export interface InputSources {
  readonly settings: TrainSettings;
  readonly file: TaskFile;
  readonly model: ModelDigests;
  /** What else decides the result, such as the version of a program: name → value. */
  readonly others?: RunFingerprint;
}

/** The inputs that need no further reading: settings, the meaning of the task file, the model. */
export function describeInputs({ settings, file, model, others = {} }: InputSources): RunFingerprint {
  const tasks = file.tasks.map(({ id, data, answer, ...task }) => [
    `the definition of task "${id}"`,
    digest([sorted({ ...task, answer: sorted(answer) }), Object.keys(data.test ?? {})]),
  ]);
  return {
    ...Object.fromEntries(
      Object.entries(settings).map(([key, value]) => [`the ${inWords(key)}`, shown(value)]),
    ),
    'the order of the tasks': file.tasks.map(({ id }) => id).join(', '),
    ...(file.name === undefined ? {} : { 'the name in the task file': file.name }),
    ...(Object.fromEntries(tasks) as RunFingerprint),
    ...Object.fromEntries(Object.entries(model).map(([part, hash]) => [`the model's ${part}`, hash])),
    ...others,
  };
}

export interface RowProgress {
  /** Pictures and sounds read. */
  readonly done: number;
  readonly total: number;
}

/**
 * Reads every picture and sound and yields progress; returns one input per set of rows.
 *
 * @throws FinetuneError (`FINETUNE_DATA_INVALID`) when one cannot be read.
 */
export async function* digestRows(data: TaskData): AsyncGenerator<RowProgress, RunFingerprint> {
  const files = [...imagesOf(data), ...soundsOf(data)];
  const digests = new Map<string, string>();
  for (let start = 0; start < files.length; start += groupSize) {
    const group = files.slice(start, start + groupSize);
    for (const [path, hash] of await Promise.all(group.map(digestOf))) digests.set(path, hash);
    yield { done: digests.size, total: files.length };
  }
  const inputs: Record<string, string> = {};
  for (const [id, { train, validation, tests }] of Object.entries(data.rows)) {
    const sets: readonly (readonly [RowSet, RowList])[] = [
      ['training', train],
      ['validation', validation],
      ...Object.entries(tests).map(([name, rows]) => [{ test: name }, rows] as const),
    ];
    for (const [which, rows] of sets)
      if (rows.length > 0) inputs[rowsInput(which, id)] = digestOfRows(rows, digests);
  }
  return inputs;
}

/** Which rows of a task. */
type RowSet = 'training' | 'validation' | { readonly test: string };

/** The name of the input that a set of rows is. */
export const rowsInput = (which: RowSet, task: string): string =>
  `the ${typeof which === 'string' ? `${which} rows` : `test rows "${which.test}"`} of task "${task}"`;

/** Files read at once. */
const groupSize = 16;

async function digestOf(path: string): Promise<readonly [string, string]> {
  const hash = await digestFile(path).catch((cause: unknown) => {
    const problem = `cannot read ${path} (${(cause as Error).message})`;
    throw new FinetuneError('FINETUNE_DATA_INVALID', 'digestRows', problem, { cause, problems: [problem] });
  });
  return [path, hash];
}

function digestOfRows(rows: RowList, digests: ReadonlyMap<string, string>): string {
  const hash = createHash('sha256');
  for (const { image, audio, text, parents, answer } of rows) {
    const heard = audio === undefined ? [] : [digests.get(audio)];
    hash.update(
      `${JSON.stringify([image === undefined ? null : digests.get(image), text, sorted(parents), answer, ...heard])}\n`,
    );
  }
  return hash.digest('hex');
}

const digest = (value: unknown) => sha256(JSON.stringify(value));

/** By key, so that the order in which a file names them does not count. */
const sorted = (value: object) => Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));

/** `batchSize` → `batch size`. */
const inWords = (key: string) => key.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

/** `rank 8`; of lists and maps their parts, with braces below the first level. */
const shown = (value: unknown, isInner = false): string => {
  if (Array.isArray(value)) return `[${value.map((part) => shown(part, true)).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  const parts = sorted(value)
    .map(([key, part]) => `${key} ${shown(part, true)}`)
    .join(', ');
  return isInner ? `{ ${parts} }` : parts;
};
