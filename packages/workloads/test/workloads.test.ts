import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import {
  countFlops,
  openKernels,
  type Kernels,
  type LinearWeight,
  type WorkKind,
} from '@contextlora/kernels';
import { initialiseSegments, masksFor, type Partition, partitionRanks } from '@contextlora/lora';
import {
  audioFeatures,
  linearsOf,
  loadModel,
  type LoadedModel,
  parseModelSpec,
  uploadSegments,
  visionTower,
} from '@contextlora/model';
import { checkInput, lowestTrainedLayer, plan, type LayerCost } from '@contextlora/scheduler';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as tf from '@contextlora/kernels/tfjs';
import { workloadsOf } from '@contextlora/workloads';

import { answered, batch, rolesOf, runStep, tasks, tokens, workloadOf } from './executed-step.js';
import { tinyConfigs, writeTinyModel } from './tiny-models.js';

let directory = '';
let kernels: Kernels;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'contextlora-workloads-'));
  kernels = await openKernels({ prefer: 'wasm' });
});
afterAll(async () => {
  kernels.dispose();
  await rm(directory, { recursive: true });
});

const tokenizerDirectory = join(
  dirname(createRequire(import.meta.url).resolve('@contextlora/benchmarks/package.json')),
  'models',
  'iov-base',
);

/** The linear layers in which a task's segment has ranks. */
const partitions: Readonly<Record<string, (all: ReturnType<typeof linearsOf>) => Partition>> = {
  'every linear layer': (all) => partitionRanks(all, tasks, { rank: 6 }),
  'the decoder layers only': (all) =>
    partitionRanks(
      all.filter(({ layerIndex }) => layerIndex !== undefined),
      tasks,
      { rank: 6 },
    ),
  'the upper half, so that the lower is frozen': (all) =>
    partitionRanks(
      all.filter(({ layerIndex }) => layerIndex !== undefined && layerIndex >= 2),
      tasks,
      { rank: 6 },
    ),
  'queries and values, deeper tasks higher up': (all) =>
    partitionRanks(
      all.filter(({ name }) => /[qv]_proj$/.test(name)),
      tasks,
      { rank: 6, only: { road: { from: 2, to: 4 }, vehicle: { from: 1, to: 3 } } },
    ),
  'the last product of the top layer': (all) =>
    partitionRanks(
      all.filter(({ layerIndex, name }) => layerIndex === 3 && name.endsWith('down_proj')),
      tasks,
      { rank: 6 },
    ),
};

describe.each(Object.keys(tinyConfigs))('the workloads of a %s model', (architecture) => {
  let model: LoadedModel;
  /** In the order in which they were executed. */
  let executed: { weight: LinearWeight | undefined; kind: WorkKind; flops: number }[] = [];
  beforeAll(async () => {
    await writeTinyModel(join(directory, architecture), tinyConfigs[architecture]!);
    const counting = countFlops(kernels, ({ weight, kind, flops }) => {
      executed.push({ weight, kind, flops });
    });
    model = await loadModel(join(directory, architecture), { kernels: counting, tokenizerDirectory });
  });
  afterAll(() => {
    model.dispose();
  });

  test.each(Object.keys(partitions))(
    'are what the kernels execute, layer by layer, with segments in %s',
    (which) => {
      const partition = partitions[which]!(linearsOf(model.spec));
      const segments = initialiseSegments(partition, { seed: 0 });
      for (const { id } of tasks) {
        const roles = rolesOf[id]!;
        const { layers } = workloadOf(id, partition, model, { featuresKept: true });
        const active = uploadSegments(masksFor(partition, roles), segments);
        executed = [];
        const { keptBytes } = runStep(model, active.byLinear);
        active.dispose();
        const found = byLayer(model, executed);
        for (const [index, layer] of layers.entries())
          expect({ layer: layer.name, ...found[index] }).toEqual({ layer: layer.name, ...ofBatch(layer) });
        // Everything kept between forward and backward, to the byte.
        expect(keptBytes).toBe(
          batch * layers.slice(1, -1).reduce((sum, { activationBytes }) => sum + activationBytes, 0),
        );
      }
    },
  );

  test('have a backward pass from the lowest trained layer up, and none below', () => {
    const all = linearsOf(model.spec);
    for (const from of [0, 1, 3]) {
      const partition = partitionRanks(
        all.filter(({ layerIndex }) => layerIndex !== undefined && layerIndex >= from),
        tasks,
        { rank: 6 },
      );
      const workload = workloadOf('road', partition, model);
      expect(lowestTrainedLayer(workload)).toBe(1 + from);
      for (const { inputFlops, weightFlops, activationBytes } of workload.layers.slice(0, 1 + from))
        expect([inputFlops, weightFlops, activationBytes]).toEqual([0, 0, 0]);
    }
  });

  test('are accepted by the planner', () => {
    const partition = partitions['every linear layer']!(linearsOf(model.spec));
    const workloads = tasks.map(({ id }) => workloadOf(id, partition, model));
    const cluster = {
      devices: [{ id: 'a', flopsPerSecond: 1e9, memoryBytes: 1e9 }],
      links: [{ from: '*', to: '*', bytesPerSecond: 1e6, latencySeconds: 0 }],
    };
    checkInput(workloads, cluster);
    expect(
      plan(workloads, cluster)
        .jobs.flatMap((job) => job.tasks)
        .sort(),
    ).toEqual(tasks.map(({ id }) => id).sort());
  });
});

test.each(['smolvlm', 'llava'])(
  'the vision tower of a %s model is counted with the embedding, once per image',
  async (architecture) => {
    await writeTinyModel(join(directory, 'tower'), tinyConfigs[architecture]!);
    const counts: number[] = [];
    const counting = countFlops(kernels, ({ flops }) => counts.push(flops));
    const model = await loadModel(join(directory, 'tower'), { kernels: counting, tokenizerDirectory });
    const { imageSizePixels } = model.spec.vision!;
    const images = [1, 2].map(() => new Float32Array(3 * imageSizePixels ** 2).fill(0.1));
    visionTower(images, model.vision!, { spec: model.spec.vision!, kernels: counting }).dispose();
    // LLaVA's frozen layer before the connector is part of the features.
    if (model.vision!.projector) {
      const { tokenCount, hiddenSize } = model.spec.vision!;
      const features = tf.zeros<tf.Rank.R2>([images.length * tokenCount, hiddenSize]);
      const projected = counting.linear(features, model.vision!.projector);
      projected.saved.dispose();
      tf.dispose([features, projected.y]);
    }
    const tower = counts.reduce((a, b) => a + b, 0);
    const partition = partitions['the decoder layers only']!(linearsOf(model.spec));
    const flops = (count: number) =>
      workloadOf('weather', partition, model, { images: count }).layers[0]!.forwardFlops;
    counts.length = 0;
    const connector = model.connector!;
    const x = tf.zeros<tf.Rank.R2>([model.spec.vision!.tokenCount, connector.inFeatures]);
    const { y, saved } = counting.linear(x, connector);
    saved.dispose();
    tf.dispose([x, y]);
    expect(flops(2)).toBe(tower + 2 * counts[0]!);
    expect(flops(1)).toBe(tower / 2 + counts[0]!);
    model.dispose();
  },
);

test.each(['qwen2_audio', 'voxtral'])(
  'the audio tower of a %s model is counted with the embedding, unless its features are kept',
  async (architecture) => {
    await writeTinyModel(join(directory, architecture), tinyConfigs[architecture]!);
    const counts: number[] = [];
    const counting = countFlops(kernels, ({ flops }) => counts.push(flops));
    const model = await loadModel(join(directory, architecture), { kernels: counting, tokenizerDirectory });
    const { audio } = model.spec;
    const wave = new Float32Array(2 * 160 * audio!.positions).fill(0.1);
    await audioFeatures(wave, model.audio!, { spec: audio!, kernels: counting });
    const partition = partitions['the decoder layers only']!(linearsOf(model.spec));
    const flops = (featuresKept: boolean) =>
      workloadsOf(model.spec, partition, [{ tasks: ['weather'], roles: { weather: rolesOf['weather']! } }], {
        trainingOf: () => ({
          sample: { tokens, answered, audioPositions: audio!.positions, featuresKept },
          samples: batch,
        }),
      })[0]!.layers[0]!.forwardFlops;
    expect(flops(false)).toBe(counts.reduce((a, b) => a + b, 0));
    expect(flops(true)).toBe(0);
    model.dispose();
  },
);

test.each(['llama', 'smolvlm'])(
  'a task of a %s model keeps gradients and both moments of AdamW for its own segment, and nothing for the others',
  (architecture) => {
    const spec = parseModelSpec(tinyConfigs[architecture]!, 'config.json');
    const linears = linearsOf(spec);
    const partition = partitions['every linear layer']!(linears);
    const segments = initialiseSegments(partition, { seed: 0 });
    for (const { id } of tasks)
      for (const [index, layer] of workloadOf(id, partition, { spec }).layers.entries()) {
        // The embedding with its connector comes first; the head, last, has no segment.
        const trainedBytes = linears
          .filter(({ layerIndex = -1 }) => layerIndex === index - 1)
          .map(({ name }) => segments[id]![name]!)
          .reduce((sum, { a, b }) => sum + a.byteLength + b.byteLength, 0);
        expect([layer.name, layer.gradientBytes, layer.optimizerBytes]).toEqual([
          layer.name,
          trainedBytes,
          3 * trainedBytes,
        ]);
      }
  },
);

test('compact base weights and messages take fewer bytes', async () => {
  await writeTinyModel(join(directory, 'bytes'), tinyConfigs['llama']!);
  const model = await loadModel(join(directory, 'bytes'), { kernels, tokenizerDirectory });
  const partition = partitions['every linear layer']!(linearsOf(model.spec));
  const of = (more: object): LayerCost =>
    workloadsOf(model.spec, partition, [{ tasks: ['road'], roles: { road: rolesOf['road']! } }], {
      trainingOf: () => ({ sample: { tokens, answered }, samples: batch }),
      ...more,
    })[0]!.layers[2]!;
  const linears = linearsOf(model.spec).filter(({ layerIndex }) => layerIndex === 1);
  const values = linears.reduce((sum, { inFeatures, outFeatures }) => sum + inFeatures * outFeatures, 0);
  expect(of({}).parameterBytes - of({ base: 'f16' }).parameterBytes).toBe(2 * values);
  expect(of({}).parameterBytes - of({ base: 'q4_0' }).parameterBytes).toBeCloseTo((4 - 18 / 32) * values, 6);
  // One byte per value, and a float32 scale per row.
  const rows = linears.reduce((sum, { outFeatures }) => sum + outFeatures, 0);
  expect(of({}).parameterBytes - of({ base: 'int8' }).parameterBytes).toBe(3 * values - 4 * rows);
  expect(of({}).outputBytes).toBe(4 * tokens * model.spec.text.hiddenSize);
  expect(of({ messageBytes: 2 }).outputBytes).toBe(2 * tokens * model.spec.text.hiddenSize);
  model.dispose();
});

interface Counts {
  readonly forwardFlops: number;
  readonly inputFlops: number;
  readonly weightFlops: number;
}

const ofBatch = ({ forwardFlops, inputFlops, weightFlops }: LayerCost): Counts => ({
  forwardFlops: batch * forwardFlops,
  inputFlops: batch * inputFlops,
  weightFlops: batch * weightFlops,
});

/** Sums of the executed products: embedding, decoder layers, head. Attention counts with the layer whose product came before it. */
function byLayer(
  model: LoadedModel,
  operations: readonly { weight: LinearWeight | undefined; kind: WorkKind; flops: number }[],
): Counts[] {
  const places = new Map<LinearWeight, number>([[model.headWeight, model.layers.length + 1]]);
  if (model.connector) places.set(model.connector, 0);
  for (const [index, { linears }] of model.layers.entries())
    for (const weight of Object.values(linears)) places.set(weight, index + 1);
  const sums = Array.from({ length: model.layers.length + 2 }, () => ({ forward: 0, input: 0, weight: 0 }));
  let place = 0;
  for (const { weight, kind, flops } of operations) {
    if (weight) place = places.get(weight)!;
    sums[place]![kind] += flops;
  }
  return sums.map(({ forward, input, weight }) => ({
    forwardFlops: forward,
    inputFlops: input,
    weightFlops: weight,
  }));
}
