import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { openSealed, sealJson, sha256 } from '@contextlora/lora/files';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { baseModel, trainLight, writeLightTasks } from './light-run.js';
import { runCommand as run } from './run-command.js';

let directory: string;
const at = (...parts: string[]) => join(directory, ...parts);
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'contextlora-unreadable-'));
  const taskFile = await writeLightTasks(at('light'));
  const trained = await trainLight(taskFile, at('run'));
  expect(trained).toMatchObject({ code: 0, err: '' });
  await knot(at('knot'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** A link to itself: it is there, and cannot be read, not even by the superuser. */
const knot = (path: string) => symlink(path, path);

/** A copy of the run in which one of the files is such a link. */
async function runWithKnot(file: string): Promise<string> {
  const copy = at(`knot-in-${file.replaceAll('/', '-')}`);
  await cp(at('run'), copy, { recursive: true });
  await rm(join(copy, file), { recursive: true });
  await knot(join(copy, file));
  return copy;
}

const loop = /too many symbolic links|ELOOP/;
const question = ['--text', 'the light is low .'];
const chat = ['chat', '--plain', '--prompt', 'the light is low . light ?', '--max-tokens', '1'];

describe('what is there and cannot be read is not said to be missing, or to be something else', () => {
  test.each<[string, () => Promise<string[]>]>([
    ['an adapter', () => Promise.resolve([...chat, '--model', baseModel, '--adapter', at('knot')])],
    [
      'the manifest of a run, in chat',
      async () => [...chat, '--adapter', await runWithKnot('.contextlora-run'), '--task', 'light'],
    ],
    [
      'the manifest of a partition',
      async () => {
        const copy = at('partition');
        await mkdir(copy);
        await knot(join(copy, 'partition.json'));
        return [...chat, '--model', baseModel, '--adapter', copy, '--task', 'light'];
      },
    ],
    [
      'the manifest of a run, in ask',
      async () => ['ask', await runWithKnot('.contextlora-run'), ...question],
    ],
    ['the description of a run', async () => ['ask', await runWithKnot('run.json'), ...question]],
    [
      'the model of a run',
      async () => {
        const copy = at('model-moved');
        await cp(at('run'), copy, { recursive: true });
        await describeAgain(copy, at('knot'));
        return ['ask', copy, ...question];
      },
    ],
    ['a path to inspect', () => Promise.resolve(['inspect', at('knot')])],
    ['a run to inspect', async () => ['inspect', await runWithKnot('.contextlora-run')]],
    [
      'a place to export to',
      () => Promise.resolve(['export', at('run'), '--format', 'gguf', '--out', at('knot')]),
    ],
    ['a place to train in', async () => trainArgs(await runWithKnot('.contextlora-run'))],
    ['a run to change', async () => ['retrain', await runWithKnot('.contextlora-run'), 'light', '--yes']],
  ])('%s', async (_, args) => {
    const { code, out, err } = await run(await args());
    expect({ code, out: out.trim() }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(loop);
    expect(err).not.toMatch(
      /no longer at|is not the directory of a run|there is nothing|holds files that no run/,
    );
    expect(err.trim().split('\n')).toHaveLength(1);
  });
});

const trainArgs = (out: string) => [
  ...['train', at('light/tasks.yaml'), '--model', baseModel, '--out', out, '--rank', '8'],
  ...['--steps', '16', '--batch-size', '2', '--learning-rate', '0.01', '--resume'],
];

/** Writes the path of the model in the description of a run anew, as if it had been that from the start. */
async function describeAgain(copy: string, path: string): Promise<void> {
  const opened = openSealed(await readFile(join(copy, 'run.json'), 'utf8'));
  const manifest = openSealed(await readFile(join(copy, '.contextlora-run'), 'utf8'));
  if ('problem' in opened || 'problem' in manifest) throw new Error('the run is damaged');
  const { model, ...rest } = opened.value;
  const text = sealJson({ ...rest, model: { ...(model as object), path } });
  await writeFile(join(copy, 'run.json'), text);
  const files = { ...(manifest.value['files'] as object), 'run.json': sha256(text) };
  await writeFile(join(copy, '.contextlora-run'), sealJson({ ...manifest.value, files }));
}
