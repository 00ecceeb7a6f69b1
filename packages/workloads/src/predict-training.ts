/** How long a run will train on this machine: a plan for one device, whose rates are measured first. */
import { measureRates } from '@contextlora/jetson';
import type { Partition } from '@contextlora/lora';
import { type LoadedModel, type LocalModel, type Example } from '@contextlora/model';
import { type Cluster, plan } from '@contextlora/scheduler';
import type { Phase } from '@contextlora/trainer';

import { measuredLayer } from './measured-layer.js';
import { sampleShapeOf } from './sample-shape.js';
import { stepOverhead } from './step-overhead.js';
import { WorkloadsError } from './workloads-error.js';
import { workloadsOf } from './workloads-of.js';

/** The run to predict. */
export interface RunToPredict {
  readonly partition: Partition;
  readonly phases: readonly Phase[];
  readonly model: Pick<LocalModel, 'features'>;
}

export interface PredictTrainingOptions {
  /** The first training examples of a task, at most `count`. */
  readonly examplesOf: (task: string, count: number) => readonly Example[];
  /** Optimizer steps of a task. */
  readonly stepsOf: (task: string) => number;
  readonly batchSize: number;
  /** Ranks per linear layer, divided among all tasks. */
  readonly rank: number;
  /** Monotonic seconds. */
  readonly clock: () => number;
  /** How long to measure. @default 3 */
  readonly budgetSeconds?: number;
}

export interface TrainingPrediction {
  readonly seconds: number;
  readonly secondsByTask: Readonly<Record<string, number>>;
  readonly cluster: Cluster;
  /** Whether the measured passes agree; if not, the machine is busy with something else. */
  readonly settled: boolean;
}

/** Examples inspected per task for the length of a batch, which its longest example sets. */
const examplesInspected = 64;
const tolerance = 0.05;

/**
 * Measures a few decoder layers and training steps of one sample, and plans the run for this device alone.
 *
 * @throws WorkloadsError if there is no task to train, or one has no training example.
 */
export async function predictTraining(
  base: LoadedModel,
  { partition, phases, model }: RunToPredict,
  { examplesOf, stepsOf, batchSize, rank, clock, budgetSeconds = 3 }: PredictTrainingOptions,
): Promise<TrainingPrediction> {
  const samples = phases.flatMap((phase) =>
    phase.tasks.map((task) => {
      const [example, ...others] = examplesOf(task, examplesInspected);
      if (!example) throw missing(`task "${task}" has no training example`);
      return { phase, task, example, shape: sampleShapeOf(base, [example, ...others]) };
    }),
  );
  const [first] = samples;
  if (!first) throw missing('no phase trains a task');
  const longest = Math.max(...samples.map(({ shape }) => shape.tokens));
  const layer = measuredLayer(base, {
    batch: batchSize,
    rank: Math.max(1, Math.round(rank / partition.order.length)),
  });
  const measured = measureRates(layer, { clock, budgetSeconds, tolerance, tokens: longest });
  layer.dispose();
  const rates = {
    forward: measured.forward.flopsPerSecond,
    input: measured.input.flopsPerSecond,
    weight: measured.weight.flopsPerSecond,
  };
  const device = { id: 'this machine', flopsPerSecond: rates, memoryBytes: 1e12 };
  const overheadSeconds = await stepOverhead(base, {
    partition,
    ...first,
    device,
    features: model.features,
    clock,
  });
  const cluster: Cluster = { devices: [{ ...device, overheadSeconds }], links: [] };
  const workloads = samples.flatMap(({ phase, task, shape }) =>
    workloadsOf(base.spec, partition, [{ ...phase, tasks: [task] }], {
      trainingOf: () => ({ sample: shape, samples: batchSize, steps: Math.max(1, stepsOf(task)) }),
    }),
  );
  // Tasks train one after the other here, and batches are not split.
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

const missing = (what: string) =>
  new WorkloadsError(
    'WORKLOADS_EXAMPLES_MISSING',
    'predictTraining',
    `${what}, so there is nothing to measure`,
  );
