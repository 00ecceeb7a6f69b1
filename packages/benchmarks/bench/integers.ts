/**
 * What a base in integers (w8a8) costs in quality: the two text tasks trained on a float32 base, on the same base in integers and by
 * PyTorch with PEFT in bfloat16, from the same segments on the same batches. Prints mean losses, test accuracy, the accuracy of segments
 * that were trained in integers on the float32 base, and what PEFT makes of them; and, at the start and after 20 steps, how far logits and
 * gradients in integers are from those in float32.
 * Usage: npm run bench:integers -- --model FILE [--seeds 0,1,2] [--sides f32,w8a8,bf16] [--steps 60] [--train 400] [--test 120] [--python python3] [--threads 1] [--json FILE]
 */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { openKernels } from '@contextlora/kernels';
import {
  initialiseSegments,
  masksFor,
  partitionRanks,
  type Partition,
  type Segments,
} from '@contextlora/lora';
import { writeWhole } from '@contextlora/lora/files';
import {
  batchOf,
  createLocalModel,
  type Example,
  languageLogits,
  linearsOf,
  loadModel,
  type LoadedModel,
  openImageFeatures,
  promptIds,
  uploadSegments,
} from '@contextlora/model';
import { tasksOf } from '@contextlora/task-graph';
import { accuracy, inferenceRoles, planPhases, rolesOf, warmupCosine } from '@contextlora/trainer';

import { startLocal } from './local-training.js';
import { defaultOptimizer, planTasks, startPeft, type PeftPlan } from './peft-training.js';
import { supportMessages } from './support-messages.js';
import { actionOf, supportGraph, topicOf } from './support-questions.js';

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    seeds: { type: 'string', default: '0,1,2' },
    sides: { type: 'string', default: 'f32,w8a8,bf16' },
    steps: { type: 'string', default: '60' },
    train: { type: 'string', default: '400' },
    test: { type: 'string', default: '120' },
    python: { type: 'string', default: 'python3' },
    threads: { type: 'string', default: '1' },
    json: { type: 'string' },
  },
});
if (values.model === undefined) {
  console.error('Give a model: npm run bench:integers -- --model FILE');
  process.exit(2);
}
const [steps, threads] = [Number(values.steps), Number(values.threads)];
/** After so many steps, logits and gradients are compared a second time. */
const probedAfter = Math.min(20, steps);
const wanted = values.sides.split(',');
const kernels = await openKernels({ threads });
const bases = {
  f32: await loadModel(values.model, { kernels, base: 'f32' }),
  w8a8: await loadModel(values.model, { kernels, base: 'w8a8' }),
};
const graph = supportGraph();
const phases = planPhases(graph);
const { layerCount } = bases.f32.spec.text;
const upper = { from: Math.floor(layerCount / 2), to: layerCount };
const partition = partitionRanks(linearsOf(bases.f32.spec), tasksOf(graph), {
  rank: 16,
  // As in `npm run bench:text`.
  only: { topic: upper, action: upper },
});
const directory = await mkdtemp(join(tmpdir(), 'integers-'));
const results: object[] = [];
try {
  const exported = spawnSync(process.execPath, [
    ...process.execArgv,
    join(import.meta.dirname, '../../model/bench/export-float32.ts'),
    ...[values.model, directory],
  ]);
  if (exported.status !== 0) throw new Error(String(exported.stderr));
  for (const seed of values.seeds.split(',').map(Number)) await measure(seed);
} finally {
  await rm(directory, { recursive: true, force: true });
}
if (values.json) await writeWhole(values.json, `${JSON.stringify(results, null, 2)}\n`);

async function measure(seed: number): Promise<void> {
  const [training, test] = [
    supportMessages('train', Number(values.train), seed),
    supportMessages('test', Number(values.test), seed),
  ];
  const examplesOf = (id: string) =>
    training.map((message) => (id === 'topic' ? topicOf(message) : actionOf(message, message.topic)));
  const tasks = planTasks(phases, {
    examplesOf,
    stepsOf: () => steps,
    batchSize: 8,
    learningRate: warmupCosine(2e-3),
    seed,
  });
  const initial = initialiseSegments(partition, { seed });
  const features = openImageFeatures(bases.f32);
  const peft = (name: string, of: Partial<PeftPlan>, segments: Segments) =>
    startPeft(
      values.python,
      {
        ...{ model: directory, tokenizer: directory, adapters: join(directory, `${name}-${seed}`) },
        ...{ imageTokens: 0, optimizer: defaultOptimizer, threads, dtype: 'bfloat16' },
        ...{ merge: false, compile: false, tasks },
        ...of,
      },
      { partition, segments },
    );
  /** Answers to the test messages, the action's prompt with the topic that was answered. */
  const score = async (base: LoadedModel, segments: Segments) => {
    const model = createLocalModel(base, { partition, segments, predictBatchSize: 16 });
    const ask = (id: string, examples: readonly Example[]) =>
      model.predict(id, examples, inferenceRoles(rolesOf(graph, id)));
    const topic = await ask('topic', test.map(topicOf));
    const action = await ask(
      'action',
      test.map((message, i) => actionOf(message, topic[i]!.answer)),
    );
    await model[Symbol.asyncDispose]();
    const share = (of: 'topic' | 'action', answers: readonly { answer: string }[]) =>
      accuracy(
        answers.map(({ answer }) => answer),
        test.map((message) => message[of]),
      );
    return { topic: share('topic', topic), action: share('action', action) };
  };

  for (const name of wanted) {
    const local = (base: LoadedModel) =>
      startLocal(base, { tasks, phases, partition, segments: initial, features });
    const side =
      name === 'bf16' ? await peft('bf16', {}, initial) : local(name === 'w8a8' ? bases.w8a8 : bases.f32);
    if (typeof side === 'string') {
      console.log(
        `PyTorch was not measured: ${side}. --python names an interpreter that has torch and peft.`,
      );
      continue;
    }
    const losses: Record<string, number[]> = {};
    const probes: object[] = [];
    const started = performance.now();
    for (const { id } of tasks) {
      await side.phase(id);
      const probe = async (step: number) => {
        const found = await compareBases(id, examplesOf(id).slice(0, 8), await side.segments());
        probes.push({ task: id, step, ...found });
        console.log(
          `seed ${seed}  ${id.padEnd(6)} after ${step} steps: KL of the logits ${found.divergence.toFixed(4)}, cosine of the gradients ${found.cosine.toFixed(4)}`,
        );
      };
      if (name === 'f32') await probe(0);
      const first = (await side.steps(probedAfter)).losses;
      if (name === 'f32') await probe(probedAfter);
      losses[id] = [...first, ...(await side.steps(steps - probedAfter)).losses];
      await side.save();
    }
    const segments = await side.segments();
    side.end();
    const seconds = (performance.now() - started) / 1000;
    const own = await score(name === 'w8a8' ? bases.w8a8 : bases.f32, segments);
    const onFloat = name === 'w8a8' ? await score(bases.f32, segments) : own;
    const inPeft = name === 'w8a8' ? await comparedWithPeft(segments) : undefined;
    results.push({ seed, side: name, about: side.about, losses, probes, own, onFloat, inPeft, seconds });
    const mean = (of: readonly number[] = []) => of.reduce((sum, loss) => sum + loss, 0) / of.length;
    console.log(
      `seed ${seed}  ${name.padEnd(5)} mean loss ${mean(losses['topic']).toFixed(3)} ${mean(losses['action']).toFixed(3)}` +
        `  accuracy ${own.topic.toFixed(3)} ${own.action.toFixed(3)}` +
        (name === 'w8a8'
          ? `, on the float32 base ${onFloat.topic.toFixed(3)} ${onFloat.action.toFixed(3)}`
          : '') +
        (inPeft === undefined
          ? ''
          : `; test loss here and in PEFT ${inPeft.here.toFixed(5)} ${inPeft.there.toFixed(5)}`) +
        `  (${seconds.toFixed(0)} s)`,
    );
  }

  /** The loss of eight test rows of the second task on the float32 base, here and by PEFT in float32. */
  async function comparedWithPeft(segments: Segments) {
    const one = {
      ...tasks.find(({ id }) => id === 'action')!,
      examples: test.slice(0, 8).map((message) => actionOf(message, message.topic)),
      batches: [[0, 1, 2, 3, 4, 5, 6, 7]],
      learningRates: [0],
    };
    const there = await peft('check', { tasks: [one], dtype: 'float32' }, segments);
    if (typeof there === 'string') return undefined;
    const here = startLocal(bases.f32, { tasks: [one], phases, partition, segments, features });
    const lossOf = async (side: typeof here) => {
      await side.phase('action');
      const [loss = NaN] = (await side.steps(1)).losses;
      side.end();
      return loss;
    };
    return { here: await lossOf(here), there: await lossOf(there) };
  }
}

/** KL(float32 ‖ integers) of the next token, over all positions of the prompts, and the cosine of the gradients of the trained segment. */
async function compareBases(task: string, examples: readonly Example[], segments: Segments) {
  const rows = examples.map((example) => promptIds(bases.f32, example));
  const [expected, got] = [bases.f32, bases.w8a8].map((base) => logProbabilities(base, task, rows, segments));
  const columns = bases.f32.spec.text.vocabularySize;
  let divergence = 0;
  for (const [i, p] of expected!.entries()) divergence += Math.exp(p) * (p - got![i]!);
  const [wanted, other] = await Promise.all(
    [bases.f32, bases.w8a8].map((base) => gradientOf(base, task, examples, segments)),
  );
  const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
  return {
    divergence: divergence / (expected!.length / columns),
    cosine: dot(wanted!, other!) / Math.sqrt(dot(wanted!, wanted!) * dot(other!, other!)),
  };
}

function logProbabilities(
  base: LoadedModel,
  task: string,
  rows: readonly (readonly number[])[],
  segments: Segments,
): Float32Array {
  const tokens = batchOf(
    base,
    rows,
    rows.map(() => undefined),
  );
  const uploaded = uploadSegments(masksFor(partition, inferenceRoles(rolesOf(graph, task))), segments);
  const real = rows.flatMap((ids, row) => ids.map((_, at) => row * tokens.time + at));
  const logits = languageLogits(base, tokens, {
    head: { rows: Int32Array.from(real) },
    segments: uploaded.byLinear,
  });
  const values = logits.dataSync<'float32'>().slice();
  const [, columns] = logits.shape;
  logits.dispose();
  uploaded.dispose();
  for (let start = 0; start < values.length; start += columns) {
    const row = values.subarray(start, start + columns);
    const highest = row.reduce((most, value) => Math.max(most, value), -Infinity);
    const sum = Math.log(row.reduce((total, value) => total + Math.exp(value - highest), 0));
    for (let i = 0; i < columns; i++) row[i]! -= highest + sum;
  }
  return values;
}

/** The gradient of a step, as what plain gradient descent takes from the segment at a rate of 1. */
async function gradientOf(
  base: LoadedModel,
  task: string,
  examples: readonly Example[],
  segments: Segments,
): Promise<Float32Array> {
  const model = createLocalModel(base, {
    partition,
    segments,
    optimizer: { method: 'sgd', clipNorm: Infinity },
  });
  await model.setPhase({ tasks: [task], roles: { [task]: rolesOf(graph, task) } });
  await model.step(task, [examples], { learningRate: 1 });
  const after = model.segments();
  await model[Symbol.asyncDispose]();
  return flat(partition, task, segments, after);
}

function flat(of: Partition, task: string, before: Segments, after: Segments): Float32Array {
  return Float32Array.from(
    Object.keys(of.layers).flatMap((layer) => {
      const [old, now] = [before[task]?.[layer], after[task]?.[layer]];
      if (!old || !now) return [];
      return (['a', 'b'] as const).flatMap((part) =>
        Array.from(old[part], (value, i) => value - now[part][i]!),
      );
    }),
  );
}
