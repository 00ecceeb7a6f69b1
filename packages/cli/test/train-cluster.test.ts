import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { describeWithNats, whileUp } from './cluster-up.js';
import { baseModel, trainLight, writeLightTasks } from './light-run.js';
import { type Outcome, runCommand } from './run-command.js';

let directory: string;
let tasks: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'train-cluster-'));
  tasks = await writeLightTasks(join(directory, 'data'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const short = ['--steps', '4', '--micro-batches', '2'];

/** A worker in this process, while `use` runs. */
async function whileWorking(address: string, model: string, use: () => Promise<void>): Promise<Outcome> {
  let stop: () => void = () => undefined;
  let join: () => void = () => undefined;
  const joined = new Promise<void>((resolve) => {
    join = resolve;
  });
  const ended = runCommand(['worker', '--server', address, '--model', model, '--name', 'a'], {
    onOutput(out, interrupt) {
      if (out.includes('has joined')) join();
      stop = interrupt;
    },
  });
  await Promise.race([joined, ended]);
  try {
    await use();
  } finally {
    stop();
  }
  return ended;
}

describeWithNats('contextlora train --cluster', () => {
  test('trains a task graph on the workers of a cluster to the bytes of one process', async () => {
    const [alone, together] = [join(directory, 'alone'), join(directory, 'together')];
    expect((await trainLight(tasks, alone, { more: short })).code).toBe(0);
    await whileUp([join(directory, 'server')], async (address) => {
      const worker = await whileWorking(address, baseModel, async () => {
        const { code, out, err } = await trainLight(tasks, together, {
          more: [...short, '--cluster', address],
        });
        expect([code, err]).toEqual([0, '']);
        expect(out).toContain('plan 1 of cluster development: a\n');
        expect(out).toMatch(/light: a layers 0–\d+/);
        expect(out).toMatch(/A step on the workers: planned [\d.]+ ms, measured [\d.]+ ms/);
      });
      expect(worker.out).toMatch(/Plan 1 begins: .*1 worker, tensors by grpc/);
      expect(worker.out).toContain('Plan 1 has ended\n');
    });
    for (const task of ['light', 'lamp']) {
      const read = (run: string) => readFile(join(run, 'adapters', task, 'adapter_model.safetensors'));
      expect((await read(together)).equals(await read(alone))).toBe(true);
    }
  });

  test('is refused by a worker whose model is another', async () => {
    const other = join(directory, 'other-model');
    await cp(baseModel, other, { recursive: true });
    const configuration = join(other, 'config.json');
    await writeFile(configuration, `${await readFile(configuration, 'utf8')}\n`);
    await whileUp([join(directory, 'server-other')], async (address) => {
      const worker = await whileWorking(address, other, async () => {
        const { code, out, err } = await trainLight(tasks, join(directory, 'refused'), {
          more: [...short, '--cluster', address],
        });
        expect(code).not.toBe(0);
        expect(out).toContain('a is lost: ');
        expect(err).toMatch(/no worker is there/);
      });
      expect(worker.out).toMatch(/the model at .* is not the one that coordinator trains \(configuration\)/);
    });
  });
});

test('options of a cluster without one are refused', async () => {
  for (const option of [
    ['--identity', 'home/devices/coordinator'],
    ['--carrier', 'nats'],
    ['--host', '127.0.0.1'],
  ]) {
    const outcome = await runCommand(['train', tasks, '--model', baseModel, ...option]);
    expect(outcome).toMatchObject({
      code: 2,
      err: expect.stringContaining(`${option[0]} is for a cluster; give --cluster too`) as unknown,
    });
  }
});
