/** A small run for tests of the commands that use one: the light of a scene, and whether to switch the lamp on. */
import { mkdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { type Outcome, runCommand, type RunOptions } from './run-command.js';

export const baseModel = join(
  dirname(createRequire(import.meta.url).resolve('@contextlora/benchmarks/package.json')),
  'models/iov-base',
);

const tasks = `
version: 1
name: Light
tasks:
  - id: light
    instruction: '{text} light ?'
    inputs: [text]
    answer: { type: label, labels: [night, sunny] }
    data: { train: light.jsonl, test: { test: light.jsonl } }
  - id: lamp
    dependsOn: [light]
    instruction: '{text} light {light} . lamp ?'
    inputs: [text]
    answer: { type: label, labels: [yes, no] }
    data: { train: lamp.jsonl, test: { test: lamp.jsonl } }
`;

const [low, bright] = ['the light is low .', 'the light is bright .'];
const rows: Readonly<Record<string, readonly object[]>> = {
  'light.jsonl': [
    { text: low, answer: 'night' },
    { text: bright, answer: 'sunny' },
  ],
  'lamp.jsonl': [
    { text: low, parents: { light: 'night' }, answer: 'yes' },
    { text: bright, parents: { light: 'sunny' }, answer: 'no' },
  ],
};

export const writeRows = (path: string, lines: readonly object[]): Promise<void> =>
  writeFile(path, lines.map((row) => `${JSON.stringify(row)}\n`).join(''));

/** Writes the task file and its data. */
export async function writeLightTasks(directory: string): Promise<string> {
  await mkdir(directory, { recursive: true });
  for (const [name, lines] of Object.entries(rows)) await writeRows(join(directory, name), lines);
  const path = join(directory, 'tasks.yaml');
  await writeFile(path, tasks);
  return path;
}

/** Trains it below `out`. */
export const trainLight = (
  taskFile: string,
  out: string,
  { more = [], ...options }: RunOptions & { more?: readonly string[] } = {},
): Promise<Outcome> =>
  runCommand(
    [
      ...['train', taskFile, '--model', baseModel, '--out', out, '--rank', '8'],
      ...['--steps', '16', '--batch-size', '2', '--learning-rate', '0.01', ...more],
    ],
    options,
  );
