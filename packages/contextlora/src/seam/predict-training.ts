/** How long a run will train on this machine, said before it starts: the plan for one device, whose rates were just measured. */
import { measureRates } from '@contextlora/jetson';
import { type LoadedModel, type Example, promptIds } from '@contextlora/model';
import { type Cluster, plan } from '@contextlora/scheduler';

import { trainingExamples } from '../run/examples-of.js';
import type { ContextRun, TrainSettings } from '../run/train-context.js';
import { measuredLayer } from './measured-layer.js';
import { stepOverhead } from './step-overhead.js';
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
  const device = { id: 'this machine', flopsPerSecond: rates, memoryBytes: 1e12 };
  const [first] = phases.flatMap(({ tasks }) => tasks);
  const overheadSeconds = await stepOverhead(base, {
    partition,
    phases,
    task: first!,
    example: examplesOf(first!)[0]!,
    shape: shapes.get(first!)!,
    device,
    features: run.model.features,
    clock,
  });
  const cluster: Cluster = { devices: [{ ...device, overheadSeconds }], links: [] };
  const workloads = workloadsOf(base.spec, partition, phases, {
    trainingOf: (task) => ({
      sample: shapes.get(task)!,
      samples: settings.batchSize,
      steps: stepsOf(settings, task),
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
