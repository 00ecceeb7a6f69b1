/**
 * Trains the same tasks from the same segments on the same batches, here and with PyTorch and PEFT, and compares the segments at the end:
 * three text tasks on a tiny random model, and the demo's four tasks on its own. `--golden` writes what PEFT ends with on the former. Needs Python with torch, transformers, peft and pillow.
 * Usage: npm run check:parity-training -- [--python python3] [--case tiny,demo] [--steps 20] [--golden DIRECTORY] [--json FILE]
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { readTaskData, trainingExamples } from '@contextlora/finetune';
import { type Kernels, openKernels } from '@contextlora/kernels';
import { initialiseSegments, partitionRanks, segmentModules, type Segments } from '@contextlora/lora';
import { writePeftFolder, writeWhole } from '@contextlora/lora/files';
import { type Example, linearsOf, loadModel, openImageFeatures } from '@contextlora/model';
import { buildTaskGraph, type TaskGraph, tasksOf } from '@contextlora/task-graph';
import { planPhases, warmupCosine } from '@contextlora/trainer';

import { demoSettings, embeddedScenario } from '../src/demo/demo-scenario.js';
import { renderScenes } from '../src/demo/render-scenes.js';
import { startLocal } from './local-training.js';
import { defaultOptimizer, planTasks, startPeft } from './peft-training.js';

const { values } = parseArgs({
  options: {
    python: { type: 'string', default: 'python3' },
    case: { type: 'string', default: 'tiny,demo' },
    steps: { type: 'string', default: '20' },
    golden: { type: 'string' },
    json: { type: 'string' },
  },
});
const steps = Number(values.steps);
const tolerance = 1e-4;
const directory = await mkdtemp(join(tmpdir(), 'parity-training-'));
const results: object[] = [];
try {
  const kernels = await openKernels({ threads: 1 });
  const wanted = values.case.split(',');
  if (wanted.includes('tiny')) await compare(tinyCase(kernels));
  if (wanted.includes('demo')) await compare(await demoCase(kernels));
} finally {
  await rm(directory, { recursive: true, force: true });
}
if (values.json) await writeWhole(values.json, `${JSON.stringify(results, null, 2)}\n`);

interface Case {
  readonly name: string;
  readonly kernels: Kernels;
  readonly model: string;
  readonly graph: TaskGraph;
  readonly examplesOf: (task: string) => readonly Example[];
  readonly rank: number;
  readonly batchSize: number;
  readonly learningRate: number;
}

async function compare({ name, kernels, model, graph, examplesOf, rank, batchSize, learningRate }: Case) {
  const base = await loadModel(model, { kernels });
  const phases = planPhases(graph);
  const partition = partitionRanks(linearsOf(base.spec), tasksOf(graph), { rank });
  const segments = initialiseSegments(partition, { seed: 0 });
  const tasks = planTasks(phases, {
    examplesOf,
    stepsOf: () => steps,
    batchSize,
    learningRate: warmupCosine(learningRate),
    seed: 0,
  });
  const local = startLocal(base, { tasks, phases, partition, segments, features: openImageFeatures(base) });
  const peft = await startPeft(
    values.python,
    {
      model,
      tokenizer: model,
      adapters: join(directory, name),
      imageTokens: base.spec.vision?.tokenCount ?? 0,
      optimizer: defaultOptimizer,
      threads: 1,
      dtype: 'float32',
      merge: false,
      compile: false,
      tasks,
    },
    { partition, segments },
  );
  if (typeof peft === 'string') throw new Error(`PyTorch is missing: ${peft}; --python names an interpreter`);
  for (const { id } of tasks)
    for (const side of [local, peft]) {
      await side.phase(id);
      const { losses } = await side.steps(steps);
      results.push({ case: name, task: id, side: side.about, losses });
      await side.save();
    }
  const [ours, theirs] = [await local.segments(), await peft.segments()];
  peft.end();
  for (const { id } of tasks) {
    const worst = difference(ours, theirs, id);
    const moved = difference(ours, segments, id);
    results.push({ case: name, task: id, worst, moved });
    if (!(worst <= tolerance)) process.exitCode = 1;
    console.log(
      `${name.padEnd(5)} ${id.padEnd(9)} ${steps} steps: weights moved by up to ${moved.toFixed(4)}; ` +
        `PEFT's differ by ${worst.toExponential(1)} ${worst <= tolerance ? 'ok' : 'TOO MUCH'}`,
    );
  }
  if (values.golden && name === 'tiny') {
    for (const { id } of tasks)
      await writePeftFolder(join(values.golden, id), segmentModules(partition, id, theirs[id] ?? {}));
    await writeWhole(join(values.golden, 'plan.json'), `${JSON.stringify({ rank, tasks }, null, 1)}\n`);
  }
  base.dispose();
}

/** The largest difference between the numbers of a task's segment. */
function difference(left: Segments, right: Segments, task: string): number {
  return Math.max(
    ...Object.entries(left[task] ?? {}).flatMap(([linear, matrices]) =>
      (['a', 'b'] as const).map((part) => {
        const other = right[task]?.[linear]?.[part];
        return matrices[part].reduce(
          (most, value, i) => Math.max(most, Math.abs(value - (other?.[i] ?? NaN))),
          0,
        );
      }),
    ),
  );
}

function tinyCase(kernels: Kernels): Case {
  const labels = ['red', 'rain snow', 'rain'];
  const task = (id: string, ...dependsOn: string[]) =>
    ({
      id,
      dependsOn,
      instruction: '?',
      inputs: ['text'],
      answer: { type: 'label', labels },
      data: {},
    }) as const;
  const prompts = [
    'the road is',
    'the weather :',
    'traffic ends in a line\n',
    'red car',
    'old tree',
    'wet road',
  ];
  return {
    name: 'tiny',
    kernels,
    model: join(import.meta.dirname, '../../model/test/fixtures/llama-tiny'),
    graph: buildTaskGraph([task('weather'), task('vehicle'), task('road', 'weather')]),
    examplesOf: (id) =>
      prompts.map((prompt, i) =>
        // One task answers freely, and two choose.
        id === 'vehicle'
          ? { prompt: `${id} ${prompt}`, answer: labels[i % 3]! }
          : { prompt: `${id} ${prompt}`, answer: labels[i % 3]!, labels },
      ),
    rank: 6,
    batchSize: 4,
    learningRate: 3e-3,
  };
}

async function demoCase(kernels: Kernels): Promise<Case> {
  const { taskFile, modelDirectory } = embeddedScenario();
  const dataDirectory = join(directory, 'scenes');
  const rendering = renderScenes(dataDirectory, { seed: 0, effort: 0.1 });
  while (!(await rendering.next()).done);
  const { graph, rows } = await readTaskData(taskFile, { dataDirectory });
  const { rank, batchSize, learningRate } = demoSettings({ seed: 0, effort: 1 });
  return {
    name: 'demo',
    kernels,
    model: modelDirectory,
    graph,
    examplesOf: (id) => trainingExamples(graph.getNodeAttributes(id), rows[id]?.train ?? []),
    rank,
    batchSize,
    learningRate,
  };
}
