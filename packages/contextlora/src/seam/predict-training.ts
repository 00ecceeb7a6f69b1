/** How long a run will train on this machine, said before it starts: the plan for one device, whose rates were just measured. */
import { measureRates } from '@contextlora/jetson';
import { initialiseSegments } from '@contextlora/lora';
import { createLocalModel, type LoadedModel, type ModelExample, promptIds } from '@contextlora/model';
import { type Cluster, plan } from '@contextlora/scheduler';

import { trainingExamples } from '../run/examples-of.js';
import type { ContextRun, TrainSettings } from '../run/train-context.js';
import { measuredLayer } from './measured-layer.js';
import { workloadsOf, type SampleShape } from './workloads-of.js';

export interface TrainingPrediction {
  readonly seconds: number;
  readonly secondsByTask: Readonly<Record<string, number>>;
  readonly cluster: Cluster;
  /** Whether the measured passes agreed; if not, the machine is busy with something else. */
  readonly settled: boolean;
}

/** Prompts that are looked at to know how long a batch gets: its longest sets the time of all. */
const promptsAsked = 64;
const measuring = { budgetSeconds: 3, tolerance: 0.05 };

export async function predictTraining(
  base: LoadedModel,
  run: ContextRun,
  { settings, clock }: { settings: TrainSettings; clock: () => number },
): Promise<TrainingPrediction> {
  const { data, partition, phases } = run;
  const examplesOf = (task: string) =>
    trainingExamples(data.graph.getNodeAttributes(task), data.rows[task]?.train.slice(0, promptsAsked) ?? []);
  const shapes = new Map(
    phases.flatMap(({ tasks }) =>
      tasks.map((task): [string, SampleShape] => [task, shapeOf(base, examplesOf(task))]),
    ),
  );
  const longest = Math.max(...[...shapes.values()].map(({ tokens }) => tokens));
  const layer = measuredLayer(base, {
    batch: settings.batchSize,
    rank: Math.max(1, Math.round(settings.rank / partition.order.length)),
  });
  const measured = measureRates(layer, { clock, ...measuring, tokens: longest });
  layer.dispose();
  const rates = {
    forward: measured.forward.flopsPerSecond,
    input: measured.input.flopsPerSecond,
    weight: measured.weight.flopsPerSecond,
  };
  const stepsOf = ({ steps }: TrainSettings, task: string) =>
    Math.max(1, typeof steps === 'number' ? steps : (steps[task] ?? 0));
  const workloadsWith = (samples: number) =>
    workloadsOf(base.spec, partition, phases, {
      trainingOf: (task) => ({ sample: shapes.get(task)!, samples, steps: stepsOf(settings, task) }),
    });
  const device = { id: 'this machine', flopsPerSecond: rates, memoryBytes: 1e12 };
  // A step of one sample takes what its products take and what every step takes: segments to and fro, AdamW.
  const [first] = phases.flatMap(({ tasks }) => tasks);
  const single = await stepSeconds(base, run, {
    task: first!,
    examples: examplesOf(first!).slice(0, 1),
    clock,
  });
  const products = plan(
    [{ ...workloadsWith(1)[0]!, steps: 1, dependsOn: [] }],
    { devices: [device], links: [] },
    {
      microbatches: [1],
      peers: [],
    },
  ).totalSeconds;
  // The scheduler adds it to forward, backward and update.
  const overheadSeconds = Math.max(0, single - products) / 3;
  const cluster: Cluster = { devices: [{ ...device, overheadSeconds }], links: [] };
  const workloads = workloadsWith(settings.batchSize);
  // Tasks train one after the other here, each step whole.
  const secondsByTask = Object.fromEntries(
    workloads.map((workload): [string, number] => [
      workload.name,
      plan([{ ...workload, dependsOn: [] }], cluster, { microbatches: [1], peers: [] }).totalSeconds,
    ]),
  );
  return {
    seconds: Object.values(secondsByTask).reduce((a, b) => a + b, 0),
    secondsByTask,
    cluster,
    settled: measured.settled,
  };
}

/** The median of a few steps of a model that is thrown away. */
async function stepSeconds(
  base: LoadedModel,
  { partition, phases, model }: ContextRun,
  { task, examples, clock }: { task: string; examples: readonly ModelExample[]; clock: () => number },
): Promise<number> {
  const phase = phases.find(({ tasks }) => tasks.includes(task))!;
  await using trial = createLocalModel(base, {
    partition,
    segments: initialiseSegments(partition, { seed: 0 }),
    features: model.features,
  });
  await trial.setPhase(phase);
  const seconds: number[] = [];
  for (let step = 0; step < 6; step++) {
    const start = clock();
    await trial.step(task, [examples], { learningRate: 1e-6 });
    // The first one makes what later ones find.
    if (step > 0) seconds.push(clock() - start);
  }
  return seconds.sort((a, b) => a - b)[2]!;
}

function shapeOf(base: LoadedModel, examples: readonly ModelExample[]): SampleShape {
  const lengths = examples.map((example) => promptIds(base, example).length);
  const [first] = examples;
  return {
    tokens: Math.max(1, ...lengths),
    answered: 1,
    ...(first?.labels ? { columns: first.labels.length } : {}),
    images: first?.image === undefined ? 0 : 1,
    featuresKept: true,
  };
}
