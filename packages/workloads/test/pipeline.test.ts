import { join } from 'node:path';

import { openKernels } from '@contextlora/kernels';
import { initialiseSegments, type Partition, partitionRanks, type Roles } from '@contextlora/lora';
import { sha256 } from '@contextlora/lora/files';
import {
  createLocalModel,
  createStageExecutor,
  type Example,
  layersOf,
  linearsOf,
  loadModel,
  type LoadedModel,
} from '@contextlora/model';
import {
  createPipelineModel,
  memoryTransports,
  type PipelineEvent,
  type PlacedPipeline,
  serveStage,
} from '@contextlora/runtime';
import {
  type Cluster,
  contextGear,
  contextGearFull,
  gpipe,
  oneForwardOneBackward,
  type Policy,
  SchedulerError,
} from '@contextlora/scheduler';
import { openThreadPipeline, placeLanes, workloadsOf } from '@contextlora/workloads';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { pipelineSide } from '../src/pipeline/pipeline-side.js';

const modelPath = join(import.meta.dirname, '../../benchmarks/models/iov-base');
const tasks = [
  { id: 'weather', dependsOn: [] },
  { id: 'road', dependsOn: ['weather'] },
  { id: 'vehicle', dependsOn: ['weather'] },
];
const rolesOf = (task: string): Roles => ({
  weather: 'freeze',
  road: 'mask',
  vehicle: 'mask',
  [task]: 'train',
});
const phaseOf = (...trained: string[]) => ({
  tasks: trained,
  roles: Object.fromEntries(trained.map((task) => [task, rolesOf(task)])),
});
const labels = ['night', 'sunny'];
const examples: Example[] = ['low', 'bright', 'low .', 'bright . light ?', 'the light is low', 'light'].map(
  (text, i) => ({ prompt: `the light is ${text} . light ?`, answer: labels[i % 2]!, labels }),
);
const batches = [examples.slice(0, 2), examples.slice(2, 4), examples.slice(4)];
const names = ['a', 'b', 'c', 'd'];
const cluster: Cluster = {
  devices: names.map((id) => ({ id, flopsPerSecond: 1e9, memoryBytes: 1e12 })),
  links: [{ from: '*', to: '*', bytesPerSecond: 1e9, latencySeconds: 1e-5 }],
};

let base: LoadedModel;
/** All ranks in all layers, or those of `road` and `vehicle` in the upper layers alone. */
let partitions: Record<'everywhere' | 'above', Partition>;
let layerCount: number;

beforeAll(async () => {
  base = await loadModel(modelPath, { kernels: await openKernels({ threads: 1 }) });
  layerCount = base.spec.text.layerCount + 2;
  const linears = linearsOf(base.spec).filter(({ layerIndex }) => layerIndex !== undefined);
  const upper = { from: Math.floor(base.spec.text.layerCount / 2), to: base.spec.text.layerCount };
  partitions = {
    everywhere: partitionRanks(linears, tasks, { rank: 6 }),
    above: partitionRanks(linears, tasks, { rank: 6, only: { road: upper, vehicle: upper } }),
  };
});
afterAll(() => {
  base.dispose();
});

const workloadsFor = (partition: Partition) =>
  workloadsOf(base.spec, partition, [phaseOf('weather'), phaseOf('road', 'vehicle')], {
    trainingOf: () => ({ sample: { tokens: 12, answered: 2 }, samples: examples.length }),
  });

/** So many stages of about the same number of layers. */
function placeEvenly(stages: number, policy: Policy, partition: Partition) {
  return (devices: readonly string[], of: readonly string[]): PlacedPipeline => {
    const count = Math.min(stages, devices.length);
    const bounds = Array.from({ length: count + 1 }, (_, i) => Math.round((i * layerCount) / count));
    return {
      workloads: workloadsFor(partition).filter(({ name }) => of.includes(name)),
      cluster,
      policy,
      placement: {
        tasks: of,
        microbatches: batches.length,
        stages: Array.from({ length: count }, (_, i) => ({
          start: bounds[i]!,
          end: bounds[i + 1]!,
          members: [{ device: devices[i]!, share: 1 }],
        })),
      },
    };
  };
}

interface Trainable extends AsyncDisposable {
  setPhase(phase: ReturnType<typeof phaseOf>): Promise<void>;
  step(
    task: string,
    microBatches: readonly (readonly Example[])[],
    options: { learningRate: number },
  ): Promise<unknown>;
  hashSegment(task: string): Promise<string>;
  hashOptimizer(task: string): Promise<string | undefined>;
  saveState(): Promise<Readonly<Record<string, Uint8Array>>>;
}

/** Two steps of each task of the phase, in turn; everything that can be compared afterwards. */
async function train(model: Trainable, phase: ReturnType<typeof phaseOf>) {
  await model.setPhase(phase);
  const results: unknown[] = [];
  for (let step = 0; step < 2; step++)
    for (const task of phase.tasks) results.push(await model.step(task, batches, { learningRate: 1e-2 }));
  const hashes = await Promise.all(
    tasks.map(async ({ id }) => [await model.hashSegment(id), await model.hashOptimizer(id)]),
  );
  const files = await model.saveState();
  return { results, hashes, files: Object.entries(files).map(([name, bytes]) => [name, sha256(bytes)]) };
}

/** One more step of a task, and what it made of its segment. */
async function step(model: Trainable, task: string) {
  const result = await model.step(task, batches, { learningRate: 1e-2 });
  return [result, await model.hashSegment(task), await model.hashOptimizer(task)];
}

const segmentsOf = (partition: Partition) => initialiseSegments(partition, { seed: 1 });

async function trainAlone(partition: Partition, phase: ReturnType<typeof phaseOf>) {
  await using model = createLocalModel(base, { partition, segments: segmentsOf(partition) });
  return await train(model, phase);
}

function openInMemory(
  partition: Partition,
  devices: readonly string[],
  options: Pick<Parameters<typeof openThreadPipeline>[0], 'place' | 'onEvent'>,
) {
  const transports = memoryTransports(['coordinator', ...devices]);
  for (const device of devices)
    void serveStage(transports.get(device)!, {
      openStage: (range) =>
        Promise.resolve(
          createStageExecutor(layersOf(base, range), { partition, segments: segmentsOf(partition) }),
        ),
    });
  return createPipelineModel({
    transport: transports.get('coordinator')!,
    devices,
    model: pipelineSide({
      text: base,
      partition,
      segments: segmentsOf(partition),
      predict: () => Promise.resolve([]),
    }),
    ...options,
  });
}

async function trainInMemory(
  partition: Partition,
  phase: ReturnType<typeof phaseOf>,
  stages: number,
  policy: Policy,
) {
  await using model = openInMemory(partition, names.slice(0, stages), {
    place: placeEvenly(stages, policy, partition),
  });
  return await train(model, phase);
}

describe('A pipeline of a real model gives the bytes of one device', () => {
  test.each([
    ['everywhere', 'road', ['road']],
    ['above', 'road, with frozen layers below', ['road']],
    ['above', 'siblings', ['road', 'vehicle']],
  ] as const)('with segments %s, training %s, on 1 to 4 stages', async (where, _, trained) => {
    const partition = partitions[where];
    const phase = phaseOf(...trained);
    const alone = await trainAlone(partition, phase);
    for (const policy of [gpipe, oneForwardOneBackward, contextGear, contextGearFull])
      for (const stages of [1, 2, 3, 4])
        expect(await trainInMemory(partition, phase, stages, policy)).toEqual(alone);
  });

  test('in worker threads that read their layers from the file, also when one of them is lost', async () => {
    const partition = partitions.everywhere;
    const phase = phaseOf('road');
    await using single = createLocalModel(base, { partition, segments: segmentsOf(partition) });
    const before = await train(single, phase);
    const after = await step(single, 'road');
    const events: PipelineEvent[] = [];
    await using model = openThreadPipeline({
      modelPath,
      devices: names.slice(0, 3),
      text: base,
      partition,
      segments: segmentsOf(partition),
      place: placeEvenly(3, contextGear, partition),
      predict: () => Promise.resolve([]),
      onEvent: (event) => events.push(event),
      execArgv: ['--conditions', '@contextlora/source'],
    });
    expect(await train(model, phase)).toEqual(before);
    expect(model.segments()).not.toEqual(segmentsOf(partition));
    model.endWorker('b');
    expect(await step(model, 'road')).toEqual(after);
    expect(events.filter(({ type }) => type === 'lost')).toMatchObject([{ device: 'b' }]);
    expect(events.at(-2)).toMatchObject({ type: 'recovered' });
  });
});

describe('A placement of a run', () => {
  test('uses the devices that are left, each for a range of layers', () => {
    const workloads = workloadsFor(partitions.everywhere);
    const [lane] = placeLanes(['a', 'c'], ['road'], { workloads, cluster, microbatches: 3 });
    const { placement } = lane!;
    const used = placement.stages.map(({ members }) => members.map(({ device }) => device));
    expect(used.flat().every((device) => ['a', 'c'].includes(device))).toBe(true);
    expect(placement.stages.at(-1)!.end).toBe(layerCount);
  });

  test('gives siblings devices of their own where there are several, and one pipeline where there are not', () => {
    const workloads = workloadsFor(partitions.everywhere);
    const place = (...devices: string[]) =>
      placeLanes(devices, ['road', 'vehicle'], { workloads, cluster, microbatches: 3 });
    expect(place('a').map(({ placement }) => placement.tasks)).toEqual([['road', 'vehicle']]);
    for (const devices of [names.slice(0, 2), names]) {
      const lanes = place(...devices).map(({ placement, workloads: own }) => ({
        tasks: placement.tasks,
        workloads: own.map(({ name }) => name),
        devices: placement.stages.flatMap(({ members }) => members.map(({ device }) => device)),
      }));
      expect(lanes.map(({ tasks: of }) => of).sort()).toEqual([['road'], ['vehicle']]);
      for (const lane of lanes) expect(lane.workloads).toEqual(lane.tasks);
      const used = lanes.flatMap((lane) => lane.devices);
      expect(new Set(used).size).toBe(used.length);
    }
  });

  test('on lanes trains siblings to the bytes of one device', async () => {
    const partition = partitions.everywhere;
    const phase = phaseOf('road', 'vehicle');
    const alone = await trainAlone(partition, phase);
    const workloads = workloadsFor(partition);
    const placed: string[] = [];
    await using model = openInMemory(partition, names, {
      place: (left, of) => placeLanes(left, of, { workloads, cluster, microbatches: 3 }),
      onEvent(event) {
        if (event.type === 'placed') placed.push(event.pipeline.placement.tasks.join());
      },
    });
    await model.setPhase(phase);
    const results = [];
    for (let step = 0; step < 2; step++)
      results.push(
        ...(await model.stepTogether(
          phase.tasks.map((task) => ({ task, microBatches: batches, learningRate: 1e-2 })),
        )),
      );
    const hashes = await Promise.all(
      tasks.map(async ({ id }) => [await model.hashSegment(id), await model.hashOptimizer(id)]),
    );
    const files = Object.entries(await model.saveState()).map(([name, bytes]) => [name, sha256(bytes)]);
    expect({ results, hashes, files }).toEqual(alone);
    expect(placed.sort()).toEqual(['road', 'vehicle']);
  });

  test('puts a model that fits on no single device on two, and says what is missing where none is enough', () => {
    const workloads = workloadsFor(partitions.everywhere);
    const bytes = workloads[0]!.layers.reduce((sum, layer) => sum + layer.parameterBytes, 0);
    const tight = (share: number): Cluster => ({
      ...cluster,
      devices: cluster.devices.map((device) => ({ ...device, memoryBytes: share * bytes })),
    });
    const options = { workloads, microbatches: 3 };
    expect(() => placeLanes(['a'], ['road'], { ...options, cluster: tight(0.9) })).toThrow(SchedulerError);
    expect(
      placeLanes(['a', 'b'], ['road'], { ...options, cluster: tight(0.9) })[0]!.placement.stages,
    ).toHaveLength(2);
  });
});
