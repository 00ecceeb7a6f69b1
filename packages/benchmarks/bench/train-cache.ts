/**
 * What the activation cache and training siblings together save: two sibling tasks on the same inputs, trained one after the other without a
 * cache, the same with one, and together with one. Prints times relative to the first, and whether all three end with the same bytes.
 * Usage: npm run bench:train-cache -- [--model FILE] [--epochs 3] [--rows 64] [--threads 1] [--json FILE]
 */
import { parseArgs } from 'node:util';

import { openKernels } from '@contextlora/kernels';
import { initialiseSegments, partitionRanks } from '@contextlora/lora';
import { writeWhole } from '@contextlora/lora/files';
import {
  createLocalModel,
  type Example,
  linearsOf,
  loadModel,
  type LoadedModel,
  openActivationCache,
} from '@contextlora/model';
import { buildTaskGraph, type TaskSpec } from '@contextlora/task-graph';
import { constantRate, planPhases, train } from '@contextlora/trainer';

import { embeddedScenario } from '../src/demo/demo-scenario.js';
import { actions, supportMessages, topics } from './support-messages.js';

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    epochs: { type: 'string', default: '3' },
    rows: { type: 'string', default: '64' },
    batch: { type: 'string', default: '8' },
    threads: { type: 'string', default: '1' },
    json: { type: 'string' },
  },
});
const [epochs, rowCount, batchSize] = [Number(values.epochs), Number(values.rows), Number(values.batch)];
const siblings = ['topic', 'action'] as const;
const labels = { topic: topics, action: actions };
const spec = (id: keyof typeof labels): TaskSpec => ({
  id,
  dependsOn: [],
  instruction: '{text}',
  inputs: ['text'],
  answer: { type: 'label', labels: labels[id] },
  data: {},
});
const graph = buildTaskGraph(siblings.map(spec));
const messages = supportMessages('train', rowCount, 0);
/** Asked alike, both tasks read the same; otherwise each has its own question at the end. */
const examplesOf = (task: keyof typeof labels, alike: boolean): Example[] =>
  messages.map((message) => ({
    prompt: `Customer: ${message.text}\n${alike ? 'Answer' : task}:`,
    answer: message[task],
    labels: labels[task],
  }));

const ways = {
  'without a cache': { concurrent: false, bytes: 0 },
  'with a cache': { concurrent: false, bytes: 2 ** 30 },
  'together, with a cache': { concurrent: true, bytes: 2 ** 30 },
} as const;
const results: object[] = [];
const kernels = await openKernels({ threads: Number(values.threads) });
for (const [name, path] of [
  ['demo', embeddedScenario().modelDirectory],
  ...(values.model === undefined ? [] : [['given', values.model]]),
] as const) {
  const base = await loadModel(path, { kernels });
  const { layerCount } = base.spec.text;
  for (const alike of [true, false])
    for (const from of [0, Math.floor(layerCount / 2), layerCount - 1])
      await compare(name, base, { from, alike });
  base.dispose();
}
if (values.json) await writeWhole(values.json, `${JSON.stringify(results, null, 2)}\n`);

async function compare(name: string, base: LoadedModel, { from, alike }: { from: number; alike: boolean }) {
  const { layerCount } = base.spec.text;
  const layers = { from, to: layerCount };
  const linears = linearsOf(base.spec).filter(({ layerIndex }) => layerIndex !== undefined);
  const partition = partitionRanks(
    linears,
    siblings.map((id) => ({ id, dependsOn: [] })),
    { rank: 16, only: { topic: layers, action: layers } },
  );
  const measured = [];
  for (const [way, { concurrent, bytes }] of Object.entries(ways)) {
    const activations = openActivationCache({ maximumBytes: bytes });
    const segments = initialiseSegments(partition, { seed: 0 });
    const model = createLocalModel(base, { partition, segments, activations });
    const [wall, cpu] = [performance.now(), process.cpuUsage()];
    const events = train(model, planPhases(graph, { concurrent }), {
      examplesFor: (task) => examplesOf(task as keyof typeof labels, alike),
      steps: Math.ceil((epochs * rowCount) / batchSize),
      batchSize,
      seed: 0,
      learningRate: constantRate(1e-3),
    });
    while (!(await events.next()).done);
    const { user, system } = process.cpuUsage(cpu);
    const hashes = await Promise.all(siblings.map((id) => model.hashSegment(id)));
    measured.push({
      way,
      seconds: (performance.now() - wall) / 1000,
      cpuSeconds: (user + system) / 1e6,
      hashes,
      ...activations.usage(),
    });
    await model[Symbol.asyncDispose]();
  }
  const [first] = measured;
  const same = measured.every(({ hashes }) => hashes.join() === first?.hashes.join());
  if (!same) process.exitCode = 1;
  results.push({ base: name, from, layerCount, alike, epochs, rowCount, batchSize, same, measured });
  const shown = measured.map(
    ({ way, seconds, cpuSeconds }) =>
      `${way} ${seconds.toFixed(1)} s (${(seconds / (first?.seconds ?? NaN)).toFixed(2)}; processor ${(cpuSeconds / (first?.cpuSeconds ?? NaN)).toFixed(2)})`,
  );
  console.log(
    `${name.padEnd(5)} layers ${from} to ${layerCount - 1} train, ${alike ? 'asked alike     ' : 'asked differently'}  ${shown.join('  ')}  ` +
      `${((measured.at(-1)?.bytes ?? 0) / 2 ** 20).toFixed(0)} MiB  ${same ? 'same bytes' : 'OTHER BYTES'}`,
  );
}
