import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { baseModel, trainLight, writeLightTasks } from './light-run.js';
import { runCommand } from './run-command.js';

let directory: string;
let tasks: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'train-workers-'));
  tasks = await writeLightTasks(join(directory, 'data'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const short = ['--steps', '4', '--lora-dropout', '0.2'];

test('training on workers writes the adapters of one process, to the byte, and shows plan and reality', async () => {
  const [alone, together] = [join(directory, 'alone'), join(directory, 'together')];
  const [trace, svg] = [join(directory, 'step.json'), join(directory, 'step.svg')];
  expect((await trainLight(tasks, alone, { more: [...short, '--micro-batches', '2'] })).code).toBe(0);
  const { code, out, err } = await trainLight(tasks, together, {
    more: [...short, '--micro-batches', '2', '--workers', '2', '--trace', trace, '--trace-svg', svg],
  });
  expect([code, err]).toEqual([0, '']);
  expect(out).toMatch(/light: worker 1 layers 0–\d+/);
  expect(out).toMatch(/A step on the workers: planned [\d.]+ ms, measured [\d.]+ ms/);
  for (const task of ['light', 'lamp']) {
    const read = (run: string) => readFile(join(run, 'adapters', task, 'adapter_model.safetensors'));
    expect((await read(together)).equals(await read(alone))).toBe(true);
  }
  const { traceEvents } = JSON.parse(await readFile(trace, 'utf8')) as {
    traceEvents: { args?: { name?: string } }[];
  };
  expect(traceEvents.some(({ args }) => args?.name?.startsWith('measured: '))).toBe(true);
  expect(await readFile(svg, 'utf8')).toContain(', planned');
});

test('a base in integers trains to the same bytes on workers and in one process', async () => {
  const [alone, together, floats] = ['alone-w8a8', 'together-w8a8', 'f32'].map((name) =>
    join(directory, name),
  );
  const plain = [...short, '--micro-batches', '2'];
  const more = [...plain, '--base-format', 'w8a8'];
  expect((await trainLight(tasks, alone!, { more })).code).toBe(0);
  expect((await trainLight(tasks, together!, { more: [...more, '--workers', '2'] })).code).toBe(0);
  expect((await trainLight(tasks, floats!, { more: plain })).code).toBe(0);
  const read = (run: string | undefined, task: string) =>
    readFile(join(run!, 'adapters', task, 'adapter_model.safetensors'));
  for (const task of ['light', 'lamp']) {
    expect((await read(together, task)).equals(await read(alone, task))).toBe(true);
    // Not those of the float32 base.
    expect((await read(floats, task)).equals(await read(alone, task))).toBe(false);
  }
});

test('a trace without workers is refused', async () => {
  const { code, err } = await runCommand([
    ...['train', tasks, '--model', baseModel, '--out', join(directory, 'none'), '--trace', 'step.json'],
  ]);
  expect(code).toBe(2);
  expect(err).toMatch(/--trace shows a step on several workers; give --workers 2 or more/);
});

test('a dry run of workers is refused, since it would predict another run', async () => {
  const { code, err } = await runCommand([
    'train',
    tasks,
    '--model',
    baseModel,
    '--workers',
    '2',
    '--dry-run',
  ]);
  expect(code).toBe(2);
  expect(err).toContain('--dry-run predicts a run in one process; leave out --workers');
});
