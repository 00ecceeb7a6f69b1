import { createPipelineModel, type PipelineEvent } from '@contextlora/runtime';
import { startThreads } from '@contextlora/runtime/threads';
import { describe, expect, test } from '@jest/globals';

import { placeToy, toyExamples, toyModelSide } from './toy-pipeline.js';
import type { ToyModel } from './toy-stage.js';
import type { ToyWorkerData } from './toy-worker.js';

const model: ToyModel = { width: 8, layers: 6, tasks: { road: 1 } };
const phase = { tasks: ['road'], roles: { road: { road: 'train' as const } } };
const names = ['a', 'b', 'c'];

async function trainOnThreads(devices: readonly string[], fault?: ToyWorkerData['fault']) {
  const events: PipelineEvent[] = [];
  await using threads = startThreads(new URL('toy-worker.mjs', import.meta.url), devices, {
    data: { model, ...(fault ? { fault } : {}) } satisfies ToyWorkerData,
    execArgv: ['--conditions', '@contextlora/source'],
  });
  await using pipeline = createPipelineModel({
    transport: threads.transport,
    devices,
    model: toyModelSide(model),
    place: (left, tasks) => placeToy(model, left, tasks, { cuts: [[], [4], [2, 5]][left.length - 1]! }),
    onEvent: (event) => events.push(event),
    endWorker(device) {
      threads.end(device);
    },
    reasonOf: (device) => threads.reasonOf(device)?.message,
    firstSeconds: 20,
  });
  await pipeline.setPhase(phase);
  const examples = toyExamples(6, model.width);
  const losses: number[] = [];
  for (let step = 0; step < 4; step++) {
    const batches = [0, 2, 4].map((at) => examples.slice(at, at + 2));
    losses.push((await pipeline.step('road', batches, { learningRate: 0.1 })).loss);
  }
  return { losses, hash: await pipeline.hashSegment('road'), events };
}

describe('Worker threads', () => {
  let alone: { losses: number[]; hash: string };

  test('train as one does', async () => {
    const { losses, hash } = await trainOnThreads(['a']);
    alone = { losses, hash };
    const many = await trainOnThreads(names);
    expect({ losses: many.losses, hash: many.hash }).toEqual(alone);
    expect(many.events.map(({ type }) => type)).toEqual(['placed', 'step', 'step', 'step', 'step']);
  });

  test.each([
    ['that dies', 'crash', 'b'],
    ['that hangs', 'hang', 'a'],
  ] as const)('%s is noticed, and the others end with the same result', async (_, kind, device) => {
    // Not before the second step, when the worker knows how long its work takes.
    const { losses, hash, events } = await trainOnThreads(names, { device, at: 14, kind });
    expect({ losses, hash }).toEqual(alone);
    expect(events.map(({ type }) => type)).toEqual(expect.arrayContaining(['lost', 'recovered']));
    expect(events.find(({ type }) => type === 'lost')).toMatchObject({ device });
  });

  test('that are slow are waited for', async () => {
    const { losses, hash, events } = await trainOnThreads(names, { device: 'c', at: 14, kind: 'slow' });
    expect({ losses, hash }).toEqual(alone);
    expect(events.filter(({ type }) => type === 'lost')).toEqual([]);
  });
});
