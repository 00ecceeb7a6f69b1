/**
 * What a setting does to the four tasks of the demo: accuracy on test scenes, steps, and processor time of training, arm by arm.
 * Usage: npm run bench:allocation (or bench:early-stopping, bench:optimizers) -- [--effort 0.4] [--seeds 1] [--json FILE]
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { embeddedScenario } from '@contextlora/benchmarks';
import {
  imagesOf,
  mainTestOf,
  measureImportance,
  prepareRun,
  readTaskData,
  type TaskData,
  trainRun,
  type TrainSettings,
} from '@contextlora/finetune';
import { openKernels } from '@contextlora/kernels';
import { writeWhole } from '@contextlora/lora/files';
import { loadModel, type LoadedModel, openImageFeatures } from '@contextlora/model';
import { macroAverage } from '@contextlora/trainer';

import { demoSettings } from '../src/demo/demo-scenario.js';
import { renderScenes } from '../src/demo/render-scenes.js';

const arms: Readonly<Record<string, Readonly<Record<string, Partial<TrainSettings>>>>> = {
  allocation: {
    uniform: { allocation: 'uniform' },
    share: { allocation: 'share' },
    data: { allocation: 'data' },
    level: { allocation: 'level' },
    importance: { allocation: 'importance' },
  },
  'early-stopping': {
    'all steps': {},
    'all steps, best kept': { evaluateEverySteps: 10 },
    'patience 3': { evaluateEverySteps: 10, earlyStopping: 3 },
    'patience 5': { evaluateEverySteps: 10, earlyStopping: 5 },
  },
  optimizers: {
    'adamw 0.003': {},
    ...Object.fromEntries(
      [0.0003, 0.001, 0.003].map((rate) => [`lion ${rate}`, { optimizer: 'lion', learningRate: rate }]),
    ),
    ...Object.fromEntries(
      [0.1, 0.3, 1].map((rate) => [`sgd ${rate}`, { optimizer: 'sgd', momentum: 0.9, learningRate: rate }]),
    ),
  },
};

const { values } = parseArgs({
  options: {
    arms: { type: 'string', default: 'allocation' },
    effort: { type: 'string', default: '0.4' },
    seeds: { type: 'string', default: '1' },
    json: { type: 'string' },
  },
});
const chosen = arms[values.arms];
if (!chosen) throw new Error(`--arms is one of ${Object.keys(arms).join(', ')}`);

interface Result {
  readonly seed: number;
  readonly arm: string;
  /** Task → accuracy on its main test set at the end. */
  readonly accuracies: Readonly<Record<string, number>>;
  /** Task → steps that it trained. */
  readonly steps: Readonly<Record<string, number>>;
  /** From the start of each phase to its end, evaluations on validation rows while it trains included. */
  readonly cpuSeconds: number;
}

const results: Result[] = [];
const base = await loadModel(embeddedScenario().modelDirectory, { kernels: await openKernels() });
for (let seed = 0; seed < Number(values.seeds); seed++) {
  const directory = await mkdtemp(join(tmpdir(), 'settings-'));
  try {
    const rendering = renderScenes(directory, { seed, effort: Number(values.effort) });
    while (!(await rendering.next()).done);
    const data = await readTaskData(embeddedScenario().taskFile, { dataDirectory: directory });
    const features = openImageFeatures(base);
    const warming = features.warm(imagesOf(data));
    while (!(await warming.next()).done);
    for (const [arm, over] of Object.entries(chosen)) {
      results.push(await train(base, data, { seed, arm, over, features }));
      print(results.at(-1)!);
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
base.dispose();
if (values.json) await writeWhole(values.json, `${JSON.stringify(results, null, 2)}\n`);

async function train(
  loaded: LoadedModel,
  data: TaskData,
  {
    seed,
    arm,
    over,
    features,
  }: {
    seed: number;
    arm: string;
    over: Partial<TrainSettings>;
    features: ReturnType<typeof openImageFeatures>;
  },
): Promise<Result> {
  const settings = { ...demoSettings({ seed, effort: Number(values.effort) }), ...over };
  const importance =
    settings.allocation === 'importance' ? await measured(loaded, data, settings) : undefined;
  const run = prepareRun(loaded, data, { settings, importance, features });
  const accuracies: Record<string, number> = {};
  const steps: Record<string, number> = {};
  let [spent, began] = [0, process.cpuUsage()];
  for await (const event of trainRun(run, { settings })) {
    if (event.type === 'phaseStart') began = process.cpuUsage();
    if (event.type === 'step') steps[event.task] = (steps[event.task] ?? 0) + 1;
    if (event.type === 'phaseEnd') {
      const { user, system } = process.cpuUsage(began);
      spent += (user + system) / 1e6;
    }
    if (event.type === 'evaluated' && event.when === 'final' && event.test === mainTestOf(data, event.task))
      accuracies[event.task] = event.accuracy;
  }
  await run.model[Symbol.asyncDispose]();
  return { seed, arm, accuracies, steps, cpuSeconds: spent };
}

async function measured(loaded: LoadedModel, data: TaskData, settings: TrainSettings) {
  const measuring = measureImportance(loaded, data, settings);
  for (;;) {
    const next = await measuring.next();
    if (next.done) return next.value;
  }
}

function print({ seed, arm, accuracies, steps, cpuSeconds }: Result): void {
  const cells = Object.entries(accuracies).map(
    ([task, accuracy]) => `${task} ${(100 * accuracy).toFixed(1)} % (${steps[task]} steps)`,
  );
  const mean = (100 * macroAverage(Object.values(accuracies))).toFixed(1);
  console.log(
    `seed ${seed}  ${arm.padEnd(20)}  ${cells.join('  ')}  mean ${mean} %  ${cpuSeconds.toFixed(1)} s of processor time`,
  );
}
