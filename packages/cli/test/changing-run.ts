/** Three small tasks about the light of a scene, and a run of them: lamp builds on light, time stands alone. */
import { createRequire } from 'node:module';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

const benchmarks = dirname(createRequire(import.meta.url).resolve('@contextlora/benchmarks/package.json'));
export const baseModel = join(benchmarks, 'models/iov-base');

const texts = ['the light is low .', 'the light is bright .'];
const label = (id: string, question: string, labels: string, dependsOn = '') => `
  - id: ${id}
    instruction: '{text} ${question} ?'
    inputs: [text]
    answer: { type: label, labels: [${labels}] }
    data: { train: ${id}.train.jsonl, test: ${id}.test.jsonl }${dependsOn === '' ? '' : `\n    dependsOn: [${dependsOn}]`}`;

export const taskSources = {
  light: label('light', 'light', 'night, sunny'),
  time: label('time', 'time', 'early, late'),
  lamp: label('lamp', 'lamp', 'yes, no', 'light'),
  /** Builds on lamp, and with it on light. */
  door: label('door', 'door', 'open, shut', 'lamp'),
};

/** A task file of these tasks, in this order, with changed sources where given. */
export const taskFile = (
  tasks: readonly (keyof typeof taskSources)[],
  changed: Partial<Record<keyof typeof taskSources, string>> = {},
) => `version: 1\nname: Light\ntasks:${tasks.map((task) => changed[task] ?? taskSources[task]).join('')}\n`;

const answers = {
  light: ['night', 'sunny'],
  time: ['late', 'early'],
  lamp: ['yes', 'no'],
  door: ['shut', 'open'],
};

/** Writes the data files of all tasks; those of one task are other ones if it is `corrupted`. */
export async function writeData(
  directory: string,
  { corrupted }: { corrupted?: string } = {},
): Promise<string> {
  await mkdir(directory, { recursive: true });
  for (const [task, given] of Object.entries(answers))
    for (const split of ['train', 'test']) {
      const shown = task === corrupted && split === 'train' ? [...given].reverse() : given;
      const rows = texts.map((text, i) => `${JSON.stringify({ text, answer: shown[i] })}\n`);
      await writeFile(join(directory, `${task}.${split}.jsonl`), rows.join(''));
    }
  return directory;
}

export async function writeTaskFile(path: string, source: string): Promise<string> {
  await writeFile(path, source);
  return path;
}

/** Path → content of the files below a directory. */
export async function contentsOf(directory: string): Promise<Record<string, string>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));
  return Object.fromEntries(
    await Promise.all(
      files
        .sort()
        .map(async (path) => [path.slice(directory.length + 1), await readFile(path, 'latin1')] as const),
    ),
  );
}
