/**
 * How far wrong training data reach: `npm run check:blast-radius -- --effort 0.1 --seed 0` trains the demo's four tasks, then again once for
 * each task with all its training answers shuffled. No byte and no answer of a task that is not the corrupted one or its descendant may
 * differ, and every segment within reach must. Exits 1 otherwise.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { embeddedScenario } from '@contextlora/benchmarks';
import { dataReach, prepareRun, readTaskData, type TaskData, trainRun } from '@contextlora/finetune';
import { openKernels } from '@contextlora/kernels';
import { keyedRandom } from '@contextlora/lora';
import { type LoadedModel, loadModel } from '@contextlora/model';

import { demoSettings } from '../src/demo/demo-scenario.js';
import { renderScenes } from '../src/demo/render-scenes.js';

const { values } = parseArgs({
  options: { effort: { type: 'string', default: '0.1' }, seed: { type: 'string', default: '0' } },
});
const [effort, seed] = [Number(values.effort), Number(values.seed)];
const settings = demoSettings({ seed, effort });
const { taskFile, modelDirectory } = embeddedScenario();
const directory = await mkdtemp(join(tmpdir(), 'blast-radius-'));
try {
  process.exitCode = (await check()) ? 0 : 1;
} finally {
  await rm(directory, { recursive: true, force: true });
}

async function check(): Promise<boolean> {
  const rendering = renderScenes(directory, { seed, effort });
  let rendered = await rendering.next();
  while (!rendered.done) rendered = await rendering.next();
  console.log(`${rendered.value} scenes`);
  const data = await readTaskData(taskFile, { dataDirectory: directory });
  const base = await loadModel(modelDirectory, { kernels: await openKernels() });
  const clean = await train(base, data);
  const reach = dataReach(data.graph);
  let isSound = true;
  for (const [task, reached] of Object.entries(reach)) {
    const corrupted = await train(base, corrupt(data, task));
    const changed = Object.keys(clean).filter((id) => clean[id]?.segment !== corrupted[id]?.segment);
    const answers = Object.keys(clean).filter((id) => clean[id]?.answers !== corrupted[id]?.answers);
    const isWithin = [...changed, ...answers].every((id) => reached.includes(id));
    const isAsFar = reached.every((id) => changed.includes(id));
    isSound &&= isWithin && isAsFar;
    console.log(
      `${task} corrupted: segments of ${changed.join(', ')} differ, answers of ${answers.join(', ') || 'none'}; ` +
        `within reach (${reached.join(', ')}): ${isWithin && isAsFar ? 'yes' : 'NO'}`,
    );
  }
  base.dispose();
  return isSound;
}

/** Task → the SHA-256 of its segment, and its answers with their probabilities on all test rows. */
async function train(base: LoadedModel, data: TaskData) {
  const run = prepareRun(base, data, { settings });
  const answers: Record<string, unknown[]> = {};
  for await (const event of trainRun(run, { settings }))
    if (event.type === 'evaluated' && event.when === 'final')
      (answers[event.task] ??= []).push(event.predictions);
  const results: Record<string, { segment: string; answers: string }> = {};
  for (const { id } of data.file.tasks)
    results[id] = {
      segment: await run.model.hashSegment(id),
      answers: JSON.stringify(answers[id]),
    };
  return results;
}

/** The data with the training answers of one task shuffled. */
function corrupt(data: TaskData, task: string): TaskData {
  const splits = data.rows[task];
  if (!splits) throw new Error(`there is no task "${task}"`);
  const train = [...splits.train];
  const shuffled = keyedRandom(seed, 'blast radius', task).shuffle(train.map(({ answer }) => answer));
  return {
    ...data,
    rows: {
      ...data.rows,
      [task]: { ...splits, train: train.map((row, i) => ({ ...row, answer: shuffled[i] ?? row.answer })) },
    },
  };
}
