/** How long a run will train on this machine, said before it starts: the plan for one device, whose rates have just been measured. */
import { measureRates } from '@contextlora/jetson';
import type { Partition } from '@contextlora/lora';
import { type LoadedModel, type LocalModel, type Example, promptIds } from '@contextlora/model';
import { type Cluster, plan } from '@contextlora/scheduler';
import type { Phase } from '@contextlora/trainer';

import { measuredLayer } from './measured-layer.js';
import { stepOverhead } from './step-overhead.js';
import { workloadsOf, type SampleShape } from './workloads-of.js';

/** The run to predict. */
export interface RunToPredict {
  readonly partition: Partition;
  readonly phases: readonly Phase[];
  readonly model: Pick<LocalModel, 'features'>;
}

export interface PredictTrainingOptions {
  /** The first training examples of a task, at most `count` of them. */
  readonly examplesOf: (task: string, count: number) => readonly Example[];
  /** Optimizer steps of a task. */
  readonly stepsOf: (task: string) => number;
  readonly batchSize: number;
  /** Ranks per linear, divided among all tasks. */
  readonly rank: number;
  /** Monotonic seconds. */
  readonly clock: () => number;
}

export interface TrainingPrediction {
  readonly seconds: number;
  readonly secondsByTask: Readonly<Record<string, number>>;
  readonly cluster: Cluster;
  /** Whether the measured passes agreed; if not, the machine is busy with something else. */
  readonly settled: boolean;
}

/** Examples that are looked at to know how long a batch gets: its longest sets the time of all. */
const examplesInspected = 64;
const measuring = { budgetSeconds: 3, tolerance: 0.05 };

/** Measures a decoder layer and a few steps of one sample, and plans the run for this one device. */
export async function predictTraining(
  base: LoadedModel,
  { partition, phases, model }: RunToPredict,
  { examplesOf, stepsOf, batchSize, rank, clock }: PredictTrainingOptions,
): Promise<TrainingPrediction> {
  const shapes = new Map(
    phases.flatMap(({ tasks }) =>
      tasks.map((task): [string, SampleShape] => [task, shapeOf(base, examplesOf(task, examplesInspected))]),
    ),
  );
  const longest = Math.max(...[...shapes.values()].map(({ tokens }) => tokens));
  const layer = measuredLayer(base, {
    batch: batchSize,
    rank: Math.max(1, Math.round(rank / partition.order.length)),
  });
  const measured = measureRates(layer, { clock, ...measuring, tokens: longest });
  layer.dispose();
  const rates = {
    forward: measured.forward.flopsPerSecond,
    input: measured.input.flopsPerSecond,
    weight: measured.weight.flopsPerSecond,
  };
  const device = { id: 'this machine', flopsPerSecond: rates, memoryBytes: 1e12 };
  const [first] = phases.flatMap(({ tasks }) => tasks);
  const overheadSeconds = await stepOverhead(base, {
    partition,
    phases,
    task: first!,
    example: examplesOf(first!, 1)[0]!,
    shape: shapes.get(first!)!,
    device,
    features: model.features,
    clock,
  });
  const cluster: Cluster = { devices: [{ ...device, overheadSeconds }], links: [] };
  const workloads = workloadsOf(base.spec, partition, phases, {
    trainingOf: (task) => ({
      sample: shapes.get(task)!,
      samples: batchSize,
      steps: Math.max(1, stepsOf(task)),
    }),
  });
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

function shapeOf(base: LoadedModel, examples: readonly Example[]): SampleShape {
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
