import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { baseModel, trainLight, writeLightTasks } from './light-run.js';
import { runCommand } from './run-command.js';

let directory: string;
let tasks: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dry-run-'));
  tasks = await writeLightTasks(join(directory, 'data'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

test('a dry run says time and memory by task and part, and leaves nothing behind', async () => {
  const out = join(directory, 'run');
  const args = ['train', tasks, '--model', baseModel, '--out', out, '--rank', '8', '--steps', '16'];
  const { code, out: said, err } = await runCommand([...args, '--dry-run']);
  expect([code, err]).toEqual([0, '']);
  expect(said).toMatch(/light +2 +\d+ tokens +16 +about \d+:\d\d/);
  expect(said).toMatch(/program, base and rows +300 MB/);
  expect(said).toMatch(/in all +\d{3} MB/);
  expect(said).toMatch(/Nothing was trained or written/);
  expect(await readdir(directory)).toEqual(['data']);
});

test('a dry run in the directory of a run touches nothing of it', async () => {
  const out = join(directory, 'old');
  expect((await trainLight(tasks, out)).code).toBe(0);
  const before = await readdir(out, { recursive: true });
  expect((await trainLight(tasks, out, { more: ['--dry-run'] })).code).toBe(0);
  expect(await readdir(out, { recursive: true })).toEqual(before);
});
