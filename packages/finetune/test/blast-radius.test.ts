import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { dataReach, prepareRun, readTaskData, type TaskData, trainRun } from '@contextlora/finetune';
import { openKernels } from '@contextlora/kernels';
import { type LoadedModel, loadModel } from '@contextlora/model';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { taskFile, writeScenario } from './light-scenario.js';

const baseModel = join(
  dirname(createRequire(import.meta.url).resolve('@contextlora/benchmarks/package.json')),
  'models/iov-base',
);
const settings = { seed: 3, rank: 9, steps: 5, batchSize: 2, learningRate: 1e-2 };

let directory: string;
let base: LoadedModel;
let data: TaskData;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'finetune-blast-'));
  const time = `
  - id: time
    instruction: '{text} time ?'
    inputs: [text]
    answer: { type: label, labels: [night, sunny] }
    data: { train: light.train.jsonl, test: { test: light.test.jsonl } }
`;
  data = await readTaskData(await writeScenario(directory, { tasks: `${taskFile.trimEnd()}${time}` }));
  base = await loadModel(baseModel, { kernels: await openKernels({ threads: 1 }) });
});
afterAll(async () => {
  base.dispose();
  await rm(directory, { recursive: true, force: true });
});

/** Task → its segment's SHA-256, and its answers with their probabilities. */
async function trained(given: TaskData): Promise<Record<string, readonly [string, string]>> {
  const run = prepareRun(base, given, { settings });
  const answers: Record<string, unknown[]> = {};
  for await (const event of trainRun(run, { settings }))
    if (event.type === 'evaluated' && event.when === 'final')
      (answers[event.task] ??= []).push(event.predictions);
  const entries = given.file.tasks.map(
    async ({ id }) => [id, [await run.model.hashSegment(id), JSON.stringify(answers[id])] as const] as const,
  );
  return Object.fromEntries(await Promise.all(entries));
}

/** All training answers of a task are wrong. */
function corrupted(task: string): TaskData {
  const splits = data.rows[task]!;
  const train = [...splits.train];
  const wrong = train.map((row, i) => ({ ...row, answer: train[train.length - 1 - i]!.answer }));
  return { ...data, rows: { ...data.rows, [task]: { ...splits, train: wrong } } };
}

test('wrong training data of a task change no byte and no answer but its own and those of its descendants', async () => {
  const clean = await trained(data);
  expect(dataReach(data.graph)).toEqual({ light: ['light', 'lamp'], lamp: ['lamp'], time: ['time'] });
  for (const [task, reached] of Object.entries(dataReach(data.graph))) {
    const other = await trained(corrupted(task));
    const changed = (part: 0 | 1) =>
      Object.keys(clean).filter((id) => clean[id]?.[part] !== other[id]?.[part]);
    expect(changed(0).sort()).toEqual([...reached].sort());
    expect(changed(1).sort()).toEqual([...reached].sort());
  }
});
