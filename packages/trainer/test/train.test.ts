import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  constantRate,
  fileCheckpoints,
  FreezeViolation,
  planPhases,
  train,
  type TrainEvent,
  type TrainOptions,
} from '@contextlora/trainer';

import { type FakeExample, FakeModel } from './fake-model.js';
import { sceneGraph } from './scene-tasks.js';

const tasks = ['vehicle', 'weather', 'road', 'strategy'];
const options: TrainOptions<FakeExample> = {
  examplesFor: (task) =>
    Array.from({ length: 5 }, (_, i) => ({ prompt: `${task}${i}`, answer: 'x'.repeat(i + 1) })),
  steps: 4,
  seed: 7,
  batchSize: 3,
  learningRate: constantRate(0.1),
};

async function run(
  model: FakeModel,
  more: Partial<TrainOptions<FakeExample>> = {},
  stopAfterSteps = Infinity,
) {
  const events: TrainEvent[] = [];
  let steps = 0;
  for await (const event of train(model, planPhases(sceneGraph()), { ...options, ...more })) {
    events.push(event);
    if (event.type === 'step' && ++steps === stopAfterSteps) break;
  }
  return events;
}

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'trainer-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

describe('train', () => {
  test('visits the phases in order and gives each the data of its own task only', async () => {
    const model = new FakeModel(tasks);
    await run(model);
    expect(model.calls.filter((call) => call.startsWith('phase'))).toEqual(
      tasks.map((task) => `phase ${task}`),
    );
    for (const call of model.calls.filter((line) => line.startsWith('step'))) {
      const [, task = '', prompts = ''] = /^step (\w+): (.*)$/.exec(call) ?? [];
      expect(prompts.split(' ').every((prompt) => prompt.startsWith(task))).toBe(true);
    }
  });

  test('sees every example once per epoch', async () => {
    const model = new FakeModel(tasks);
    await run(model, { steps: 5 });
    const seen = model.calls
      .filter((call) => call.startsWith('step road'))
      .flatMap((call) => call.slice(11).split(' '));
    expect(seen).toHaveLength(15);
    for (const epoch of [0, 1, 2])
      expect(seen.slice(epoch * 5, epoch * 5 + 5).sort()).toEqual([
        'road0',
        'road1',
        'road2',
        'road3',
        'road4',
      ]);
  });

  test('certifies after each phase that one segment was trained and no other changed', async () => {
    const events = await run(new FakeModel(tasks));
    const checks = events.flatMap((event) => (event.type === 'phaseEnd' ? [event.check] : []));
    expect(checks.map(({ trained }) => trained)).toEqual([['vehicle'], ['weather'], ['road'], ['strategy']]);
    expect(checks.every(({ violated }) => violated.length === 0)).toBe(true);
  });

  test('refuses a phase that moved a frozen segment by the smallest amount', async () => {
    const model = new FakeModel(tasks);
    model.leaksInto = ['weather'];
    await expect(run(model)).rejects.toThrow(FreezeViolation);
    await expect(run(new FakeModel(tasks))).resolves.toBeDefined();
  });

  test('a task added later leaves the earlier tasks as if it had never come', async () => {
    const all = new FakeModel(tasks);
    await run(all);
    const fewer = new FakeModel(tasks);
    const phases = planPhases(sceneGraph()).slice(0, 3);
    for await (const event of train(fewer, phases, options)) expect(event).toBeDefined();
    for (const task of tasks.slice(0, 3)) expect(fewer.weights[task]).toBe(all.weights[task]);
  });
});

describe('a stopped run', () => {
  test.each([1, 3, 4, 5, 9, 16])('stopped after step %i resumes to the same bits', async (stopAfter) => {
    const uninterrupted = new FakeModel(tasks);
    await run(uninterrupted);

    const checkpoints = fileCheckpoints(directory);
    await run(new FakeModel(tasks), { checkpoints }, stopAfter);
    const resumed = new FakeModel(tasks);
    const events = await run(resumed, { checkpoints });
    expect(events[0]?.type).toBe('resume');
    expect(resumed.weights).toEqual(uninterrupted.weights);
  });

  test('is saved every so many steps even if the process dies', async () => {
    const checkpoints = fileCheckpoints(directory);
    const iterator = train(new FakeModel(tasks), planPhases(sceneGraph()), {
      ...options,
      checkpoints,
      checkpointEverySteps: 2,
    });
    for (let i = 0; i < 4; i++) await iterator.next();
    // No return(): as after a crash.
    expect((await checkpoints.load())?.position).toMatchObject({ phase: 0, step: 2 });
  });

  test('of other inputs is refused with the way out', async () => {
    const checkpoints = fileCheckpoints(directory);
    await run(new FakeModel(tasks), { checkpoints, fingerprint: 'a' }, 2);
    await expect(run(new FakeModel(tasks), { checkpoints, fingerprint: 'b' })).rejects.toThrow(
      'trainer/train: the checkpoint belongs to another run',
    );
  });

  test('that already finished gives the segments back', async () => {
    const checkpoints = fileCheckpoints(directory);
    const first = new FakeModel(tasks);
    await run(first, { checkpoints });
    const second = new FakeModel(tasks);
    await run(second, { checkpoints });
    expect(second.weights).toEqual(first.weights);
    expect(second.calls.filter((call) => call.startsWith('step'))).toEqual([]);
  });

  test('keeps one complete checkpoint and refuses a damaged pointer', async () => {
    const checkpoints = fileCheckpoints(directory);
    await run(new FakeModel(tasks), { checkpoints });
    expect((await readdir(directory)).sort()).toEqual(['latest.json', 'phase-4-step-0']);
    await writeFile(join(directory, 'latest.json'), '{"folder":"../x"}');
    await expect(checkpoints.load()).rejects.toThrow('is not a checkpoint of this program');
  });
});
