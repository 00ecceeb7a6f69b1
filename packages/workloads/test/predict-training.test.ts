import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { openKernels } from '@contextlora/kernels';
import { partitionRanks } from '@contextlora/lora';
import { linearsOf, type LoadedModel, loadModel } from '@contextlora/model';
import { predictTraining, type PredictTrainingOptions, WorkloadsError } from '@contextlora/workloads';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

const baseModel = join(
  dirname(createRequire(import.meta.url).resolve('@contextlora/benchmarks/package.json')),
  'models/iov-base',
);
const tasks = [
  { id: 'weather', dependsOn: [] },
  { id: 'road', dependsOn: ['weather'] },
];
const phases = [
  { tasks: ['weather'], roles: { weather: { weather: 'train', road: 'mask' } } },
  { tasks: ['road'], roles: { road: { weather: 'freeze', road: 'train' } } },
] as const;

let base: LoadedModel;
beforeAll(async () => {
  base = await loadModel(baseModel, { kernels: await openKernels({ threads: 1 }) });
});
afterAll(() => {
  base.dispose();
});

const predict = (options: Partial<PredictTrainingOptions>, trained: typeof phases | readonly [] = phases) => {
  // Every look at the clock takes a tenth of a second, so every pass takes equally long.
  let now = 0;
  const partition = partitionRanks(linearsOf(base.spec), tasks, { rank: 4 });
  return predictTraining(
    base,
    { partition, phases: trained, model: { features: undefined as never } },
    {
      examplesOf: () => [{ prompt: 'weather now ?', answer: 'rain', labels: ['rain', 'snow'] }],
      stepsOf: () => 10,
      batchSize: 2,
      rank: 4,
      clock: () => (now += 0.1),
      ...options,
    },
  );
};

test('a prediction adds up its tasks, whose time grows with their steps', async () => {
  const { seconds, secondsByTask } = await predict({
    stepsOf: (task) => (task === 'road' ? 30 : 10),
  });
  const { weather = 0, road = 0 } = secondsByTask;
  expect(seconds).toBeCloseTo(weather + road, 9);
  // More than three times: road's frozen parent computes too.
  expect(road / weather).toBeGreaterThan(3);
  expect(road / weather).toBeLessThan(3.5);
});

test('a prediction without tasks, or for a task without examples, is refused', async () => {
  const refusal = { name: 'WorkloadsError', code: 'WORKLOADS_EXAMPLES_MISSING' };
  await expect(predict({}, [])).rejects.toMatchObject(refusal);
  await expect(predict({ examplesOf: () => [] })).rejects.toThrow(/task "weather" has no training example/);
  await expect(predict({ examplesOf: () => [] })).rejects.toBeInstanceOf(WorkloadsError);
});
