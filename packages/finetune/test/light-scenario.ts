/** Two tasks without images: the light of a scene, and whether to switch the lamp on, which depends on it. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export const taskFile = `
version: 1
name: Light
tasks:
  - id: light
    instruction: '{text} light ?'
    inputs: [text]
    answer: { type: label, labels: [night, sunny] }
    data: { train: light.train.jsonl, test: { test: light.test.jsonl, other: light.other.jsonl } }
  - id: lamp
    dependsOn: [light]
    instruction: '{text} light {light} . lamp ?'
    inputs: [text]
    answer: { type: label, labels: [yes, no] }
    data: { train: lamp.train.jsonl, test: { test: lamp.test.jsonl } }
`;

const light = (words: string, answer: string) => ({ text: `the light is ${words} .`, answer });
const lamp = (words: string, given: string, answer: string) => ({
  text: `the light is ${words} .`,
  parents: { light: given },
  answer,
});

/** File → rows. */
const rowsByFile: Readonly<Record<string, readonly object[]>> = {
  'light.train.jsonl': [light('low', 'night'), light('bright', 'sunny')],
  'light.test.jsonl': [light('low', 'night'), light('bright', 'sunny')],
  'light.other.jsonl': [light('low', 'sunny')],
  'lamp.train.jsonl': [lamp('low', 'night', 'yes'), lamp('bright', 'sunny', 'no')],
  'lamp.test.jsonl': [lamp('low', 'night', 'yes'), lamp('bright', 'sunny', 'no')],
};

/** Writes the task file and its data, except for what is replaced; returns the path of the task file. */
export async function writeScenario(
  directory: string,
  { tasks = taskFile, files = {} }: { tasks?: string; files?: Readonly<Record<string, string>> } = {},
): Promise<string> {
  await mkdir(directory, { recursive: true });
  for (const [name, rows] of Object.entries(rowsByFile))
    await writeFile(
      join(directory, name),
      files[name] ?? rows.map((row) => `${JSON.stringify(row)}\n`).join(''),
    );
  const path = join(directory, 'tasks.yaml');
  await writeFile(path, tasks);
  return path;
}
