/**
 * A step on worker threads beside the same step in one process, as planned and as measured; how long it takes to go on without a worker that
 * dies; and what each of two workers holds of a model.
 *
 * Every figure of time is a ratio to one process in the same run, whose steps take turns with those of the workers.
 * Usage: npm run bench:runtime -- [--model DIR] [--workers 1,2] [--rounds N] [--steps N] [--batch N] [--micro-batches N] [--json FILE]
 */
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { measuredDevice } from '@contextlora/jetson';
import { openKernels } from '@contextlora/kernels';
import { initialiseSegments, partitionRanks, type Roles } from '@contextlora/lora';
import { writeWhole } from '@contextlora/lora/files';
import { createLocalModel, type Example, linearsOf, loadModel } from '@contextlora/model';
import {
  comparePlan,
  type MeasuredStep,
  type PipelineEvent,
  type PlacedPipeline,
  refitCluster,
} from '@contextlora/runtime';
import type { Cluster } from '@contextlora/scheduler';
import {
  openThreadPipeline,
  placeLanes,
  profileModel,
  sampleShapeOf,
  workloadsOf,
} from '@contextlora/workloads';

import { formatTable } from '../../cli/src/terminal/table.js';

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: join(import.meta.dirname, '../../benchmarks/models/iov-base') },
    workers: { type: 'string', default: '1,2' },
    rounds: { type: 'string', default: '5' },
    steps: { type: 'string', default: '8' },
    batch: { type: 'string', default: '16' },
    'micro-batches': { type: 'string', default: '4' },
    json: { type: 'string' },
  },
});
const [rounds, stepCount, batchSize, microBatchCount] = [
  values.rounds,
  values.steps,
  values.batch,
  values['micro-batches'],
].map(Number) as [number, number, number, number];
const counts = values.workers.split(',').map(Number);
const now = () => performance.now() / 1000;
const median = (list: readonly number[]) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)]!;
const percent = (share: number) => `${share < 0 ? '−' : '+'}${Math.abs(100 * share).toFixed(1)} %`;

const base = await loadModel(values.model, { kernels: await openKernels({ threads: 1 }) });
const tasks = [{ id: 'road', dependsOn: [] }];
const partition = partitionRanks(
  linearsOf(base.spec).filter(({ layerIndex }) => layerIndex !== undefined),
  tasks,
  { rank: 16 },
);
const roles: Roles = { road: 'train' };
const phase = { tasks: ['road'], roles: { road: roles } };
const words = ['light', 'cold', 'slow', 'road', 'wet', 'snow', 'house', 'tree'];
const examples = Array.from({ length: batchSize }, (_, i): Example => {
  const text = Array.from({ length: 20 }, (__, j) => words[(3 * i + 5 * j + i * j) % words.length]).join(' ');
  return { prompt: `${text} . road ?`, answer: ['dry', 'wet'][i % 2]!, labels: ['dry', 'wet'] };
});
const microBatches = Array.from({ length: microBatchCount }, (_, i) =>
  examples.slice((i * batchSize) / microBatchCount, ((i + 1) * batchSize) / microBatchCount),
);
const segments = () => initialiseSegments(partition, { seed: 1 });
const sample = sampleShapeOf(base, examples);
const workloads = workloadsOf(base.spec, partition, [phase], {
  trainingOf: () => ({ sample, samples: batchSize }),
});
const profile = await profileModel(base, {
  clock: now,
  budgetSeconds: 1,
  tokens: Math.round(sample.tokens),
  batch: Math.max(1, Math.round(batchSize / microBatchCount)),
  rank: 16,
});
console.log(
  `${cpus().length} cores of ${cpus()[0]?.model ?? 'an unknown processor'}, load average ${loadavg()[0]?.toFixed(1)}; ` +
    `${base.spec.architecture}, ${batchSize} rows of ${sample.tokens.toFixed(0)} tokens in ${microBatchCount} micro-batches`,
);

const results: unknown[] = [];
const rows: string[][] = [];
for (const count of counts) {
  const devices = Array.from({ length: count }, (_, i) => `w${i + 1}`);
  const cluster: Cluster = {
    devices: devices.map((id) => ({
      ...measuredDevice(profile.rates, { id, memoryBytes: 1e12 }),
      overheadSeconds: profile.overheadSeconds,
    })),
    links: [{ from: '*', to: '*', bytesPerSecond: 2e9, latencySeconds: 1e-4 }],
  };
  const measured: MeasuredStep[] = [];
  let placed: PlacedPipeline | undefined;
  let recoverySeconds: number | undefined;
  const onEvent = (event: PipelineEvent) => {
    if (event.type === 'step') measured.push(event.measured);
    else if (event.type === 'placed') placed = event.pipeline;
    else if (event.type === 'recovered') recoverySeconds = event.seconds;
  };
  await using alone = createLocalModel(base, { partition, segments: segments() });
  await using pipeline = openThreadPipeline({
    modelPath: values.model,
    devices,
    text: base,
    partition,
    segments: segments(),
    place: (left, of) => placeLanes(left, of, { workloads, cluster, microbatches: microBatchCount }),
    predict: () => Promise.resolve([]),
    onEvent,
    execArgv: ['--conditions', '@contextlora/source'],
  });
  const secondsOf = async (model: Pick<typeof alone, 'step'>) => {
    const started = now();
    await model.step('road', microBatches, { learningRate: 1e-3 });
    return now() - started;
  };
  await alone.setPhase(phase);
  await pipeline.setPhase(phase);
  const [ofOne, ofWorkers]: [number[], number[]] = [[], []];
  // The first round warms up.
  for (let round = 0; round <= rounds; round++)
    for (const [model, list] of [
      [alone, ofOne],
      [pipeline, ofWorkers],
    ] as const)
      for (let step = 0; step < stepCount; step++) {
        const seconds = await secondsOf(model);
        if (round > 0) list.push(seconds);
      }
  if ((await alone.hashSegment('road')) !== (await pipeline.hashSegment('road')))
    throw new Error('the workers trained other bytes than one process');
  const warm = measured.slice(stepCount);
  const half = warm.length / 2;
  // Fitted on the first half of the steps, compared on the second.
  const fitted = refitCluster(placed!.cluster, warm.slice(0, half));
  const errors = (of: Cluster) => warm.slice(half).map((step) => comparePlan(step, of));
  const [before, after] = [errors(placed!.cluster), errors(fitted)].map((list) => ({
    median: median(list.map(({ error }) => error)),
    meanAbsolute: list.reduce((sum, { error }) => sum + Math.abs(error), 0) / list.length,
    plannedSeconds: median(list.map(({ planned }) => planned.makespanSeconds)),
  })) as [Prediction, Prediction];
  const idle = median(
    errors(fitted).map(
      ({ devices: all }) => all.reduce((sum, one) => sum + one.measuredIdleFraction, 0) / all.length,
    ),
  );
  const ratio = median(ofWorkers) / median(ofOne);
  if (count > 1) {
    pipeline.endWorker(devices.at(-1)!);
    await secondsOf(pipeline);
  }
  const layers = workloads[0]!.layers;
  const bytes = (start: number, end: number) =>
    layers.slice(start, end).reduce((sum, layer) => sum + layer.parameterBytes, 0);
  const stages = warm[0]!.schedule.placements[0]!.stages;
  const largestShare =
    Math.max(...stages.map(({ start, end }) => bytes(start, end))) / bytes(0, layers.length);
  results.push({
    workers: count,
    stages: stages.length,
    ratio,
    before,
    after,
    idle,
    recoverySeconds,
    largestShare,
  });
  rows.push([
    String(count),
    String(stages.length),
    ratio.toFixed(2),
    (before.plannedSeconds / median(ofOne)).toFixed(2),
    percent(before.median),
    percent(after.median),
    `${(100 * after.meanAbsolute).toFixed(1)} %`,
    `${(100 * idle).toFixed(0)} %`,
    `${(100 * largestShare).toFixed(0)} %`,
    recoverySeconds === undefined ? '' : (recoverySeconds / median(ofOne)).toFixed(1),
  ]);
}

interface Prediction {
  readonly median: number;
  readonly meanAbsolute: number;
  readonly plannedSeconds: number;
}

console.log('Step times ÷ that of one process; errors are planned ÷ measured − 1:');
const header = [
  'workers',
  'stages',
  'measured',
  'planned',
  'error',
  're-fitted',
  'mean absolute',
  'idle',
  'largest share of weights',
  'recovery in steps',
];
for (const line of formatTable(header, rows)) console.log(`  ${line}`);
if (values.json !== undefined)
  await writeWhole(
    values.json,
    `${JSON.stringify({ machine: { cores: cpus().length, processor: cpus()[0]?.model, loadAverage: loadavg()[0], node: process.version }, results }, null, 2)}\n`,
  );
base.dispose();
