import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { runCommand as run } from './run-command.js';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'contextlora-init-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const filesBelow = async (path: string) =>
  (await readdir(path, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();

describe('init', () => {
  test('writes a project that is valid and trains with the commands that it names', async () => {
    const project = join(directory, 'factory');
    const { code, out } = await run(['init', project]);
    expect(code).toBe(0);
    expect(out).toContain('contextlora train tasks.yaml --model embedded --config train.yaml --out run');
    const tasks = join(project, 'tasks.yaml');
    const settings = ['--model', 'embedded', '--config', join(project, 'train.yaml')];
    const valid = await run(['validate', tasks, ...settings]);
    expect(valid).toMatchObject({ code: 0, err: '' });
    expect(valid.out).toContain('Factory cell: 3 tasks can be trained.');
    const out2 = join(project, 'run');
    const trained = await run(['train', tasks, ...settings, '--steps', '1', '--out', out2]);
    expect(trained).toMatchObject({ code: 0, err: '' });
    const { code: asked, out: answer } = await run([
      'ask',
      out2,
      '--text',
      'drum loud . farmer garden . order late',
    ]);
    expect(asked).toBe(0);
    expect(answer).toMatch(/decision +(keep|slow|stop)/);
  });

  test('writes the same bytes each time, with no row of the test sets among those of training', async () => {
    const [first, second] = [join(directory, 'one'), join(directory, 'two')];
    await run(['init', first]);
    await run(['init', second]);
    const read = async (path: string) =>
      Promise.all(
        (await filesBelow(path)).map(async (file) => [file.slice(path.length), await readFile(file, 'utf8')]),
      );
    expect(await read(first)).toEqual(await read(second));
    for (const task of ['machine', 'people', 'decision']) {
      const rows = async (split: string) =>
        (await readFile(join(first, 'data', `${task}.${split}.jsonl`), 'utf8')).trimEnd().split('\n');
      const trained = new Set(await rows('train'));
      for (const row of [...(await rows('validation')), ...(await rows('test'))])
        expect(trained).not.toContain(row);
    }
  });

  test('replaces nothing: a file that is there stops it before it writes', async () => {
    const project = await mkdtemp(join(directory, 'mine-'));
    await writeFile(join(project, 'tasks.yaml'), 'mine');
    const { code, err } = await run(['init', project]);
    expect(code).toBe(2);
    expect(err).toContain(
      `this file is there already, and nothing was written: ${join(project, 'tasks.yaml')}`,
    );
    expect(await filesBelow(project)).toEqual([join(project, 'tasks.yaml')]);
    expect(await readFile(join(project, 'tasks.yaml'), 'utf8')).toBe('mine');
  });

  test('asks for the directory on a terminal, and says --yes where nobody can be asked', async () => {
    const project = join(directory, 'typed');
    const { code } = await run(['init'], { input: `${project}\n`, isTerminal: true });
    expect(code).toBe(0);
    expect(await filesBelow(project)).toHaveLength(11);
    const { code: refused, err } = await run(['init']);
    expect(refused).toBe(2);
    expect(err).toContain('say --yes to take what is offered (.)');
  });
});

describe('validate', () => {
  test('counts rows and labels as JSON, and nothing else is printed', async () => {
    const project = join(directory, 'counted');
    await run(['init', project]);
    const { code, out } = await run([
      'validate',
      join(project, 'tasks.yaml'),
      '--model',
      'embedded',
      '--json',
    ]);
    expect(code).toBe(0);
    const { tasks } = JSON.parse(out) as {
      tasks: { id: string; train: { rows: number; labels: Record<string, number> } }[];
    };
    expect(tasks.map(({ id, train }) => [id, train])).toContainEqual([
      'machine',
      { rows: 192, labels: { strong: 64, weak: 64, blocked: 64 } },
    ]);
  });

  test('lists the problems of all files at once and trains nothing', async () => {
    const project = join(directory, 'wrong');
    await run(['init', project]);
    for (const task of ['machine', 'people'])
      await writeFile(join(project, `data/${task}.test.jsonl`), '{"text":"a","answer":"green"}\n');
    const { code, err } = await run(['validate', join(project, 'tasks.yaml')]);
    expect(code).toBe(2);
    expect(err).toMatch(/machine\.test\.jsonl:\n.*green[\s\S]*people\.test\.jsonl:\n.*green/);
  });

  test('refuses settings that training would refuse, and rows that do not fit the model', async () => {
    const project = join(directory, 'long');
    await run(['init', project]);
    const tasks = join(project, 'tasks.yaml');
    const misspelt = await run(['validate', tasks, '--steps', '{ machin: 3 }']);
    expect(misspelt.code).toBe(2);
    expect(misspelt.err).toContain('machin');
    const targets = await run(['validate', tasks, '--model', 'embedded', '--targets', '[nothing_proj]']);
    expect(targets.code).toBe(2);
    expect(targets.err).toContain('nothing_proj');
    await writeFile(
      join(project, 'data/machine.train.jsonl'),
      `${JSON.stringify({ text: 'engine '.repeat(5000), answer: 'weak' })}\n`,
    );
    const { code, err } = await run(['validate', tasks, '--model', 'embedded']);
    expect(code).toBe(2);
    expect(err).toMatch(/machine\.train\.jsonl/);
  });
});
