/**
 * Trains the demo's four tasks here and with PyTorch and PEFT, in turns of a few steps in one run, and prints times and accuracy of both.
 *
 * Both sides have the same initial segments, batches and rates. PEFT is tried in several ways: as it comes, with the segments of ancestors
 * merged into the base (`merged`), and that compiled (`compiled`). Processor time is that of all threads, which other work on the machine disturbs less.
 * Usage: npm run bench:train-peer -- [--python python3] [--variants plain,merged,compiled] [--threads 1] [--share 1] [--json FILE]
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { evaluateTask, mainTestRows, readTaskData, trainingExamples } from '@contextlora/finetune';
import { openKernels } from '@contextlora/kernels';
import { initialiseSegments, partitionRanks } from '@contextlora/lora';
import { writeWhole } from '@contextlora/lora/files';
import { createLocalModel, linearsOf, loadModel, openImageFeatures } from '@contextlora/model';
import { tasksOf } from '@contextlora/task-graph';
import { planPhases, stepsOfTask, warmupCosine } from '@contextlora/trainer';

import { demoSettings, embeddedScenario } from '../src/demo/demo-scenario.js';
import { renderScenes } from '../src/demo/render-scenes.js';
import { startLocal } from './local-training.js';
import {
  defaultOptimizer,
  planTasks,
  startPeft,
  type StepsTiming,
  type Timing,
  type TrainingSide,
} from './peft-training.js';

const { values } = parseArgs({
  options: {
    python: { type: 'string', default: 'python3' },
    variants: { type: 'string', default: 'plain,merged,compiled' },
    threads: { type: 'string', default: '1' },
    /** Of the demo's steps. */
    share: { type: 'string', default: '1' },
    json: { type: 'string' },
  },
});
const threads = Number(values.threads);
/** Steps of a turn. */
const turn = 10;
const directory = await mkdtemp(join(tmpdir(), 'train-peer-'));
try {
  await measure();
} finally {
  await rm(directory, { recursive: true, force: true });
}

interface Measured {
  readonly name: string;
  readonly side: TrainingSide;
  /** By task, and of the features of its pictures. */
  readonly steps: Map<string, StepsTiming[]>;
  readonly looks: Timing[];
}

async function measure(): Promise<void> {
  const { taskFile, modelDirectory: model } = embeddedScenario();
  const dataDirectory = join(directory, 'scenes');
  const rendering = renderScenes(dataDirectory, { seed: 0, effort: 1 });
  while (!(await rendering.next()).done);
  const data = await readTaskData(taskFile, { dataDirectory });
  const settings = demoSettings({ seed: 0, effort: Number(values.share) });
  const base = await loadModel(model, { kernels: await openKernels({ threads }) });
  const phases = planPhases(data.graph);
  const partition = partitionRanks(linearsOf(base.spec), tasksOf(data.graph), { rank: settings.rank });
  const segments = initialiseSegments(partition, { seed: settings.seed });
  const tasks = planTasks(phases, {
    examplesOf: (id) => trainingExamples(data.graph.getNodeAttributes(id), data.rows[id]?.train ?? []),
    stepsOf: (id) => stepsOfTask(settings.steps, id),
    batchSize: settings.batchSize,
    learningRate: warmupCosine(settings.learningRate),
    seed: settings.seed,
  });
  const features = openImageFeatures(base);
  const measured = (name: string, side: TrainingSide): Measured => ({
    name,
    side,
    steps: new Map(),
    looks: [],
  });
  const sides = [measured('ours', startLocal(base, { tasks, phases, partition, segments, features }))];
  for (const variant of values.variants.split(',').filter((name) => name !== '')) {
    const peft = await startPeft(
      values.python,
      {
        model,
        tokenizer: model,
        adapters: join(directory, variant),
        imageTokens: base.spec.vision?.tokenCount ?? 0,
        optimizer: defaultOptimizer,
        threads,
        dtype: 'float32',
        merge: variant !== 'plain',
        compile: variant === 'compiled',
        tasks,
      },
      { partition, segments },
    );
    if (typeof peft === 'string')
      console.log(
        `PyTorch was not measured: ${peft}. --python names an interpreter that has torch and peft.`,
      );
    else sides.push(measured(variant, peft));
  }

  for (const { id, batches } of tasks) {
    for (const { side, looks } of sides) looks.push(await side.phase(id));
    for (let at = 0; at < batches.length; at += turn)
      for (const { side, steps } of sides) {
        const timed = await side.steps(Math.min(turn, batches.length - at));
        steps.set(id, [...(steps.get(id) ?? []), timed]);
      }
    for (const { side } of sides) await side.save();
    printTask(id, batches.length, sides);
  }
  const totals = sides.map(({ name, steps, looks }) => {
    const timings = [...steps.values()].flat();
    return {
      name,
      features: sumOf(looks),
      steps: sumOf(timings),
      whole: sumOf([...looks, ...timings]),
      peakBytes: Math.max(...timings.map(({ peakBytes }) => peakBytes)),
    };
  });
  printTotals(totals);

  const accuracies: Record<string, Record<string, number>> = {};
  for (const { name, side } of sides) {
    const trained = createLocalModel(base, { partition, segments: await side.segments(), features });
    accuracies[name] = {};
    for (const { id } of tasks) {
      const rows = mainTestRows(data, id);
      accuracies[name][id] = (await evaluateTask(trained, { graph: data.graph, task: id, rows })).accuracy;
    }
    side.end();
    const shown = tasks.map(({ id }) => `${id} ${(100 * (accuracies[name]?.[id] ?? NaN)).toFixed(1)} %`);
    console.log(`accuracy on test scenes  ${name.padEnd(9)} ${shown.join('  ')}`);
  }
  if (values.json) {
    const report = {
      threads,
      settings,
      sides: sides.map(({ name, side, steps }) => ({
        name,
        about: side.about,
        steps: Object.fromEntries(steps),
      })),
      totals,
      accuracies,
    };
    await writeWhole(values.json, `${JSON.stringify(report, null, 1)}\n`);
  }
  base.dispose();
}

function sumOf(timings: readonly Timing[]): Timing {
  return {
    seconds: timings.reduce((sum, { seconds }) => sum + seconds, 0),
    cpuSeconds: timings.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0),
  };
}

/** The medians over the turns of a task, per step. */
function printTask(id: string, count: number, sides: readonly Measured[]): void {
  const medians = sides.map(({ name, steps }) => {
    const turns = (steps.get(id) ?? []).map(({ seconds, cpuSeconds, losses }) => ({
      wall: seconds / losses.length,
      cpu: cpuSeconds / losses.length,
    }));
    return { name, wall: median(turns.map(({ wall }) => wall)), cpu: median(turns.map(({ cpu }) => cpu)) };
  });
  const shown = medians.map(
    ({ name, wall, cpu }) => `${name} ${(1000 * wall).toFixed(1)} ms (processor ${(1000 * cpu).toFixed(1)})`,
  );
  console.log(`${id.padEnd(9)} ${count} steps  ${shown.join('  ')}`);
}

function printTotals(
  totals: readonly { name: string; features: Timing; steps: Timing; whole: Timing; peakBytes: number }[],
): void {
  const [ours, ...peers] = totals;
  for (const { name, features, steps, whole, peakBytes } of totals)
    console.log(
      `total ${name.padEnd(9)} ${whole.seconds.toFixed(1)} s: features ${features.seconds.toFixed(1)}, steps ${steps.seconds.toFixed(1)}; ` +
        `processor ${whole.cpuSeconds.toFixed(1)} s: ${features.cpuSeconds.toFixed(1)}, ${steps.cpuSeconds.toFixed(1)}; ` +
        `peak ${(peakBytes / 2 ** 20).toFixed(0)} MiB`,
    );
  if (!ours) return;
  for (const { name, whole, steps } of peers)
    console.log(
      `ours / ${name.padEnd(9)} ${(ours.whole.seconds / whole.seconds).toFixed(2)} of the time, ${(ours.whole.cpuSeconds / whole.cpuSeconds).toFixed(2)} of the processor time ` +
        `(steps alone ${(ours.steps.seconds / steps.seconds).toFixed(2)}, ${(ours.steps.cpuSeconds / steps.cpuSeconds).toFixed(2)})`,
    );
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN;
}
