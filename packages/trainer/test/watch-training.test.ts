import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  constantRate,
  planPhases,
  type StepResult,
  train,
  type TrainOptions,
  warmupCosine,
} from '@contextlora/trainer';
import { fileCheckpoints } from '@contextlora/trainer/files';

import { type FakeExample, FakeModel } from './fake-model.js';
import { sceneGraph } from './scene-tasks.js';

const tasks = ['vehicle', 'weather', 'road', 'strategy'];
const options: TrainOptions<FakeExample> = {
  examplesFor: (task) => [1, 2, 3].map((n) => ({ prompt: `${task}${n}`, answer: 'x'.repeat(n) })),
  steps: 30,
  seed: 7,
  batchSize: 2,
  learningRate: constantRate(0.1),
};

async function run(
  model: FakeModel,
  more: Partial<TrainOptions<FakeExample>> = {},
  { concurrent = false }: { concurrent?: boolean } = {},
): Promise<void> {
  const phases = planPhases(sceneGraph(), { concurrent });
  for await (const event of train(model, phases, { ...options, ...more })) expect(event).toBeDefined();
}

const reporting = (reports: FakeModel['reports']) => Object.assign(new FakeModel(tasks), { reports });

describe('a step whose numbers are not finite', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'trainer-watch-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  test.each<Partial<StepResult>>([
    { loss: NaN },
    { loss: Infinity },
    { loss: -Infinity },
    { gradientNorm: NaN },
    { gradientNorm: Infinity },
  ])('%j ends the run and leaves the last good checkpoint', async (report) => {
    const checkpoints = fileCheckpoints(directory);
    const model = reporting((step) => (step === 46 ? report : {}));
    const attempt = run(model, { checkpoints, checkpointEverySteps: 5 });
    await expect(attempt).rejects.toMatchObject({ code: 'TRAINER_NOT_FINITE', tasks: ['weather'] });
    await expect(attempt).rejects.toThrow(
      /task "weather", step 16 of 30, learning rate 0\.1: the loss is .* not applied.*lower learning rate.*training rows \d, \d$/,
    );
    expect((await checkpoints.load())?.position).toMatchObject({ phase: 1, step: 15 });
    // The run goes on from there, to the same numbers as one that was never stopped.
    const [resumed, straight] = [new FakeModel(tasks), new FakeModel(tasks)];
    await run(resumed, { checkpoints });
    await run(straight);
    expect(resumed.weights).toEqual(straight.weights);
  });

  test('ends a resumed run and one of several siblings too', async () => {
    const checkpoints = fileCheckpoints(directory);
    const broken = () => reporting((step) => (step === 5 ? { loss: NaN } : {}));
    await expect(run(broken(), { checkpoints, checkpointEverySteps: 2 })).rejects.toThrow('step 5 of 30');
    await expect(run(broken(), { checkpoints, checkpointEverySteps: 2 })).rejects.toThrow('step 9 of 30');
    await expect(run(broken(), {}, { concurrent: true })).rejects.toMatchObject({ tasks: ['vehicle'] });
  });

  test('in the first step points to the base model', async () => {
    await expect(run(reporting(() => ({ loss: NaN })))).rejects.toThrow('the base model itself');
  });
});

describe('a task that no longer learns', () => {
  test('ends the run after 20 steps without a gradient, and names task, step and rate', async () => {
    const model = reporting((step) => (step > 35 ? { loss: Math.log(5), gradientNorm: 0 } : {}));
    const attempt = run(model);
    await expect(attempt).rejects.toMatchObject({ code: 'TRAINER_STUCK', tasks: ['weather'] });
    await expect(attempt).rejects.toThrow(
      'task "weather", step 25 of 30, learning rate 0.1: for 20 steps in a row the gradient has had no size (now 0), while the loss is still 1.609',
    );
  });

  test('ends a run of fewer steps at its end, instead of as a success', async () => {
    const model = reporting(() => ({ loss: Math.log(5), gradientNorm: 0 }));
    await expect(run(model, { steps: 4 })).rejects.toThrow('step 4 of 4');
  });

  test('is not one that has been learned, nor one whose gradient comes back', async () => {
    await run(reporting(() => ({ loss: 1e-5, gradientNorm: 0 })));
    await run(reporting((step) => (step % 20 === 0 ? {} : { loss: 1, gradientNorm: 0 })));
  });

  test('is told from its siblings, whose steps lie between', async () => {
    const model = reporting((_, task) => (task === 'weather' ? { loss: 1, gradientNorm: 0 } : {}));
    await expect(run(model, {}, { concurrent: true })).rejects.toMatchObject({ tasks: ['weather'] });
    expect(model.steps).toBe(40);
  });
});

describe('settings out of sense', () => {
  const rate = 'it must be above 0 and at most 1';
  test.each<[Partial<TrainOptions<FakeExample>>, string]>([
    [{ steps: 0 }, 'steps must be a whole number from 1 to 1000000, got 0'],
    [{ steps: NaN }, 'steps must be a whole number'],
    [{ steps: 2.5 }, 'steps must be a whole number'],
    [{ steps: Infinity }, 'steps must be a whole number'],
    [
      { steps: { vehicle: 1, weather: 0, road: 1, strategy: 1 } },
      'steps of "weather" must be a whole number',
    ],
    [
      { steps: { vehicle: 1, weather: 1, rod: 1, strategy: 1 } },
      'steps names "rod", which is not a task of the run; did you mean "road"?\n  steps has no number for task "road"',
    ],
    [{ batchSize: 0 }, 'batchSize must be a whole number from 1 to 65536, got 0'],
    [{ batchSize: NaN }, 'batchSize must be'],
    [{ batchSize: 1e9 }, 'batchSize must be'],
    [{ microBatches: NaN }, 'microBatches must be a whole number from 1 to 65536, got NaN'],
    [{ microBatches: 0 }, 'microBatches must be'],
    [{ microBatches: 1.5 }, 'microBatches must be'],
    [{ checkpointEverySteps: 0 }, 'checkpointEverySteps must be a whole number, 1 or more, got 0'],
    [{ seed: NaN }, 'seed must be a whole number, got NaN'],
    [{ seed: 0.5 }, 'seed must be a whole number'],
    [{ learningRate: constantRate(0) }, 'the learning rate is 0 at all 30 steps'],
    [{ learningRate: constantRate(-1e-3) }, rate],
    [{ learningRate: constantRate(NaN) }, rate],
    [{ learningRate: constantRate(1e30) }, `the learning rate is 1e+30 at step 1 of 30; ${rate}`],
    [{ learningRate: warmupCosine(1e6) }, rate],
    [{ learningRate: (step) => (step === 29 ? Infinity : 1e-3) }, 'Infinity at step 30 of 30'],
    [
      { learningRate: warmupCosine(1e-3, { warmupSteps: 31 }) },
      'warm-up of 31 steps is longer than the 30 steps',
    ],
  ])('are refused before the first step: %p', async (more, message) => {
    const model = new FakeModel(tasks);
    const attempt = run(model, more);
    await expect(attempt).rejects.toMatchObject({ code: 'TRAINER_INPUT_INVALID' });
    await expect(attempt).rejects.toThrow(message);
    expect(model.calls).toEqual([]);
  });

  test('are named all at once', async () => {
    const attempt = run(new FakeModel(tasks), { steps: 0, batchSize: 0, microBatches: 0 });
    await expect(attempt).rejects.toMatchObject({ problems: { length: 3 } });
  });

  test.each([
    [0, {}],
    [-1, {}],
    [NaN, {}],
    [Infinity, {}],
    [1e-3, { warmupSteps: -1 }],
    [1e-3, { warmupSteps: 1.5 }],
    [1e-3, { warmupSteps: NaN }],
    [1e-3, { floor: -0.1 }],
    [1e-3, { floor: 1.1 }],
    [1e-3, { floor: NaN }],
  ])('of a schedule are refused when it is made: peak %p, %p', (peak, more) => {
    expect(() => warmupCosine(peak, more)).toThrow(/^trainer\/scheduleRate: /);
  });

  test('do not include a rate that touches 0 or 1, nor a task of another phase in the steps', async () => {
    await run(new FakeModel(tasks), { learningRate: (step) => (step % 2 === 0 ? 0 : 1) });
    const some = planPhases(sceneGraph()).slice(0, 1);
    const steps = { vehicle: 2, weather: 3, road: 4, strategy: 5 };
    for await (const event of train(new FakeModel(tasks), some, { ...options, steps }))
      expect(event.type).not.toBe('resume');
  });

  test('do not let a strategy draw examples that do not exist', async () => {
    await expect(run(new FakeModel(tasks), { sample: () => [0, 7] })).rejects.toThrow(
      'a batch of task "vehicle" asks for examples that do not exist: 0, 7 of 3',
    );
    await expect(run(new FakeModel(tasks), { sample: () => [] })).rejects.toThrow('do not exist');
  });
});
