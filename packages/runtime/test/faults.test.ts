import type { PipelineEvent } from '@contextlora/runtime';
import { describe, expect, test } from '@jest/globals';

import { faultKinds, judge, simulateFault, simulateFaults } from './fault-simulator.js';
import { openToyPipeline, placeToy, toyExamples } from './toy-pipeline.js';

const model = { width: 2, layers: 4, tasks: { road: 2 } };

describe('A fault at any computation and at messages', () => {
  test.each(faultKinds)('of the kind "%s" ends in the same result or in one clear error', async (kind) => {
    for await (const run of simulateFaults(kind, { everyComputation: 3, everyMessage: 23 }))
      expect(judge(run)).toEqual([]);
  });

  test('repeats the steps since the state that was kept last, and ends as without it', async () => {
    const train = async (lost?: string) => {
      const events: PipelineEvent[] = [];
      const { pipeline, transports } = openToyPipeline(model, ['a', 'b', 'c'], {
        place: (left, tasks) => placeToy(model, left, tasks, { cuts: [[], [3], [2, 4]][left.length - 1]! }),
        stateEverySteps: 3,
        onEvent: (event) => events.push(event),
      });
      await pipeline.setPhase({ tasks: ['road'], roles: { road: { road: 'train' } } });
      const batches = toyExamples(4, model.width).map((one) => [one]);
      for (let step = 0; step < 7; step++) {
        if (step === 5 && lost !== undefined) transports.get(lost)!.lose();
        await pipeline.step('road', batches, { learningRate: 0.1 });
      }
      const hash = await pipeline.hashSegment('road');
      await pipeline[Symbol.asyncDispose]();
      return {
        hash,
        repeated: events.flatMap((event) => (event.type === 'recovered' ? [event.stepsRepeated] : [])),
      };
    };
    const { hash } = await train();
    expect(await train('b')).toEqual({ hash, repeated: [2] });
  });

  test('while a phase of another task begins opens it on the devices that are left', async () => {
    const two = { ...model, tasks: { road: 2, weather: 1 } };
    const train = async (lost?: string) => {
      const { pipeline, transports } = openToyPipeline(two, ['a', 'b'], {
        place: (left, tasks) => placeToy(two, left, tasks, { cuts: [[], [2]][left.length - 1]! }),
      });
      for (const task of ['road', 'weather']) {
        if (task === 'weather' && lost !== undefined) transports.get(lost)!.lose();
        await pipeline.setPhase({ tasks: [task], roles: { [task]: { [task]: 'train' } } });
        await pipeline.step(task, [toyExamples(2, two.width)], { learningRate: 0.1 });
      }
      const hashes = await Promise.all(['road', 'weather'].map((task) => pipeline.hashSegment(task)));
      await pipeline[Symbol.asyncDispose]();
      return hashes;
    };
    expect(await train('b')).toEqual(await train());
  });

  test('that takes the last device ends in an error that says so', async () => {
    const { pipeline, transports } = openToyPipeline(model, ['a'], {
      place: (left, tasks) => placeToy(model, left, tasks, { cuts: [] }),
    });
    await pipeline.setPhase({ tasks: ['road'], roles: { road: { road: 'train' } } });
    transports.get('a')!.lose();
    await expect(pipeline.step('road', [toyExamples(1, 2)], { learningRate: 1 })).rejects.toMatchObject({
      code: 'RUNTIME_PEER_LOST',
      device: 'a',
      message: expect.stringMatching('no device is left') as unknown,
    });
    await pipeline[Symbol.asyncDispose]();
  });

  test('is simulated in the same way every time', async () => {
    const fault = { kind: 'crash', at: 9, what: 'computation' } as const;
    expect(await simulateFault(fault)).toEqual(await simulateFault(fault));
  });
});
