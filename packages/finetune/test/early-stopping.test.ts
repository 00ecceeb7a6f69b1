import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import {
  evaluateTask,
  prepareRun,
  readTaskData,
  type RunEvent,
  type TaskData,
  trainRun,
  type TrainSettings,
} from '@contextlora/finetune';
import { openKernels } from '@contextlora/kernels';
import { type LoadedModel, loadModel } from '@contextlora/model';
import { fileCheckpoints } from '@contextlora/trainer/files';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { taskFile, writeScenario } from './light-scenario.js';

const baseModel = join(
  dirname(createRequire(import.meta.url).resolve('@contextlora/benchmarks/package.json')),
  'models/iov-base',
);
/** The rate is so high that training passes its best state. */
const settings: TrainSettings = {
  seed: 3,
  rank: 8,
  steps: 24,
  batchSize: 2,
  learningRate: 0.02,
  schedule: 'constant',
  evaluateEverySteps: 2,
  earlyStopping: 2,
};

let directory: string;
let base: LoadedModel;
let data: TaskData;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'early-stopping-'));
  const tasks = taskFile.replaceAll(
    /train: (\w+)\.train\.jsonl,/g,
    'train: $1.train.jsonl, validation: $1.test.jsonl,',
  );
  data = await readTaskData(await writeScenario(directory, { tasks }));
  base = await loadModel(baseModel, { kernels: await openKernels({ threads: 1 }) });
});
afterAll(async () => {
  base.dispose();
  await rm(directory, { recursive: true, force: true });
});

async function train(stopAfter = Infinity, checkpoints?: string) {
  const run = prepareRun(base, data, { settings });
  const events: RunEvent[] = [];
  let steps = 0;
  for await (const event of trainRun(run, {
    settings,
    ...(checkpoints === undefined ? {} : { checkpoints: fileCheckpoints(checkpoints) }),
  })) {
    events.push(event);
    if (event.type === 'step' && ++steps === stopAfter) break;
  }
  const hashes = await Promise.all(['light', 'lamp'].map((task) => run.model.hashSegment(task)));
  return { run, events, hashes };
}

test('each task ends early with the segment that answered its validation rows best, also when stopped and resumed', async () => {
  const { run, events, hashes } = await train();
  for (const event of events) {
    if (event.type !== 'phaseEnd') continue;
    const steps = events.filter((one) => one.type === 'step' && one.phase === event.phase);
    expect(steps.length).toBeLessThan(24);
    // Two evaluations after the best one, two steps apart.
    expect(steps).toHaveLength((event.best?.step ?? NaN) + 1 + 4);
  }
  const scores = new Map(
    events.flatMap((event) => (event.type === 'phaseEnd' ? [[event.tasks[0], event.best?.score]] : [])),
  );
  for (const task of ['light', 'lamp']) {
    const rows = data.rows[task]?.validation ?? [];
    expect((await evaluateTask(run.model, { graph: data.graph, task, rows })).accuracy).toBe(
      scores.get(task),
    );
  }
  const checkpoints = join(directory, 'checkpoints');
  await train(5, checkpoints);
  expect((await train(Infinity, checkpoints)).hashes).toEqual(hashes);
});
