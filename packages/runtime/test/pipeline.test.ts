import type { PipelineEvent } from '@contextlora/runtime';
import { describe, expect, test } from '@jest/globals';
import {
  contextGear,
  contextGearDeep,
  contextGearFull,
  gpipe,
  oneForwardOneBackward,
  oneForwardOneBackwardDeep,
} from '@contextlora/scheduler';

import {
  openToyPipeline,
  placeToy,
  toyExamples,
  type ToyPipelineOptions,
  type ToyStep,
  trainAlone,
} from './toy-pipeline.js';
import type { ToyModel } from './toy-stage.js';

const model: ToyModel = { width: 5, layers: 6, tasks: { low: 1, high: 4, other: 4 } };
const roles = (task: string) => ({ low: 'freeze', high: 'mask', other: 'mask', [task]: 'train' }) as const;
const phaseOf = (...tasks: string[]) => ({
  tasks,
  roles: Object.fromEntries(tasks.map((task) => [task, roles(task)])),
});
const stepsOf = (tasks: readonly string[], count: number, sizes = [2, 2, 1]): ToyStep[] =>
  Array.from({ length: count }, (_, step) =>
    tasks.map((task, at): ToyStep => {
      const examples = toyExamples(5, model.width, at);
      let next = 0;
      return {
        task,
        microBatches: sizes.map((size) => examples.slice(next, (next += size))),
        learningRate: 0.1 / (step + 1),
      };
    }),
  ).flat();

async function trainTogether(
  devices: readonly string[],
  tasks: readonly string[],
  steps: readonly ToyStep[],
  options: ToyPipelineOptions,
  together = false,
) {
  const { pipeline, served } = openToyPipeline(model, devices, options);
  await pipeline.setPhase(phaseOf(...tasks));
  const results: { loss: number; gradientNorm: number }[] = [];
  for (let at = 0; at < steps.length; at += together ? tasks.length : 1)
    results.push(...(await pipeline.stepTogether(steps.slice(at, at + (together ? tasks.length : 1)))));
  const hashes = await Promise.all(
    ['low', 'high', 'other'].map(async (task) => [
      await pipeline.hashSegment(task),
      await pipeline.hashOptimizer(task),
    ]),
  );
  await pipeline[Symbol.asyncDispose]();
  await served;
  return { hashes, results: results.map(({ loss, gradientNorm }) => ({ loss, gradientNorm })) };
}

const policies = {
  gpipe,
  oneForwardOneBackward,
  oneForwardOneBackwardDeep,
  contextGear,
  contextGearDeep,
  contextGearFull,
};
const cuts = { 1: [], 2: [3], 3: [2, 6], 4: [1, 4, 7] } as const;
const names = ['a', 'b', 'c', 'd'];

const placing =
  (options: Parameters<typeof placeToy>[3]): ToyPipelineOptions['place'] =>
  (left, tasks) =>
    placeToy(model, left, tasks, options);
const onOne = { place: placing({ cuts: [] }) };

describe('A pipeline gives the bytes of one device', () => {
  test.each(Object.keys(policies))(
    'with %s on 1 to 4 stages, with all layers trained or lower ones frozen',
    async (name) => {
      const policy = policies[name as keyof typeof policies];
      for (const task of ['low', 'high']) {
        const steps = stepsOf([task], 3);
        const alone = await trainAlone(model, phaseOf(task), steps);
        const one = await trainTogether(['x'], [task], steps, onOne);
        expect(one.results).toEqual(alone.results);
        for (const stages of [2, 3, 4] as const)
          expect(
            await trainTogether(names.slice(0, stages), [task], steps, {
              place: placing({ cuts: cuts[stages], policy }),
            }),
          ).toEqual(one);
      }
    },
  );

  test('when siblings share a pipeline, step by step or interleaved', async () => {
    const tasks = ['high', 'other'];
    const steps = stepsOf(tasks, 3);
    const alone = await trainAlone(model, phaseOf(...tasks), steps);
    for (const together of [false, true])
      for (const policy of [gpipe, contextGear]) {
        const options = { place: placing({ cuts: [2, 5], policy }) };
        const { results, hashes } = await trainTogether(names.slice(0, 3), tasks, steps, options, together);
        expect(results).toEqual(alone.results);
        expect(hashes).toEqual((await trainTogether(['x'], tasks, steps, onOne)).hashes);
      }
  });

  test('when frozen layers come from a cache from the second epoch on, which saves the stages below their work', async () => {
    const steps = stepsOf(['high'], 3);
    const counts = { forward: 0 };
    const cached = await trainTogether(names.slice(0, 3), ['high'], steps, {
      place: placing({ cuts: [2, 5] }),
      counts,
    });
    expect(cached).toEqual(await trainTogether(['x'], ['high'], steps, onOne));
    // Of six layers three are frozen: 3 micro-batches on all layers once, and on the upper ones twice.
    expect(counts.forward).toBe(3 * 6 + 2 * 3 * 3);
  });
});

describe('Lanes side by side', () => {
  const tasks = ['high', 'other'];
  /** Of two devices for the first task, and of the others for the second. */
  const onLanes: ToyPipelineOptions['place'] = (left) =>
    left.length < 3
      ? placeToy(model, left, tasks, { cuts: left.length === 1 ? [] : [3] })
      : [
          placeToy(model, left.slice(0, 2), ['high'], { cuts: [3] }),
          placeToy(model, left.slice(2), ['other'], { cuts: left.length === 3 ? [] : [5] }),
        ];

  test('give the bytes of one device, also where one has more steps, or a device is lost', async () => {
    const train = async (place: ToyPipelineOptions['place'], devices: readonly string[], lost?: string) => {
      const events: PipelineEvent[] = [];
      const options = { place, stateEverySteps: 2, onEvent: (event: PipelineEvent) => events.push(event) };
      const { pipeline, transports } = openToyPipeline(model, devices, options);
      await pipeline.setPhase(phaseOf(...tasks));
      const results = [];
      for (let step = 0; step < 5; step++) {
        if (step === 3 && lost !== undefined) transports.get(lost)!.lose();
        const steps = stepsOf(step < 3 ? tasks : ['high'], step + 1).slice(step < 3 ? -2 : -1);
        results.push(...(await pipeline.stepTogether(steps)));
      }
      const hashes = await Promise.all(
        ['low', ...tasks].flatMap((task) => [pipeline.hashSegment(task), pipeline.hashOptimizer(task)]),
      );
      await pipeline[Symbol.asyncDispose]();
      return { outcome: { hashes, results }, types: events.map(({ type }) => type) };
    };
    const { outcome: alone } = await train(onOne.place, ['x']);
    const { types, outcome: sideBySide } = await train(onLanes, names);
    expect(sideBySide).toEqual(alone);
    expect(types).toEqual(['placed', 'placed', ...Array<string>(3 * 2 + 2).fill('step')]);
    for (const lost of names) {
      const { types: withLoss, outcome: others } = await train(onLanes, names, lost);
      expect(others).toEqual(alone);
      expect(withLoss).toContain('recovered');
    }
  });

  test('are refused where they share a device or leave out a task', async () => {
    for (const [place, message] of [
      [
        (left: readonly string[]) => tasks.map((task) => placeToy(model, left, [task], { cuts: [] })),
        /place: a device is in two places$/,
      ],
      [
        (left: readonly string[]) => placeToy(model, left, ['high'], { cuts: [] }),
        /place: the tasks high, other are placed as high$/,
      ],
    ] as const) {
      const { pipeline } = openToyPipeline(model, ['a'], { place });
      await expect(pipeline.setPhase(phaseOf(...tasks))).rejects.toMatchObject({
        code: 'RUNTIME_INPUT_INVALID',
        message: expect.stringMatching(message) as unknown,
      });
      await pipeline[Symbol.asyncDispose]();
    }
  });
});

describe('Groups of devices that divide the samples', () => {
  test.each([
    ['below', [2, 1]],
    ['above', [1, 2]],
    ['on both stages, cut otherwise', [2, 3]],
  ])('%s train as one device does, but for rounding', async (_, groups) => {
    const devices = ['a', 'b', 'c', 'd', 'e'].slice(0, groups[0]! + groups[1]!);
    for (const task of ['low', 'high']) {
      const steps = stepsOf([task], 4, [1, 4]);
      const alone = await trainAlone(model, phaseOf(task), steps);
      for (const policy of [contextGear, oneForwardOneBackward]) {
        const { results } = await trainTogether(devices, [task], steps, {
          place: placing({ cuts: [3], groups, policy }),
        });
        for (const [step, { loss, gradientNorm }] of results.entries()) {
          expect(loss).toBeCloseTo(alone.results[step]!.loss, 6);
          expect(gradientNorm).toBeCloseTo(alone.results[step]!.gradientNorm, 6);
        }
      }
    }
  });

  test('keep a device without samples up to date', async () => {
    const steps = stepsOf(['low'], 3, [1]);
    const alone = await trainAlone(model, phaseOf('low'), steps);
    const options = { place: placing({ cuts: [3], groups: [2, 2] }) };
    const { pipeline } = openToyPipeline(model, names, options);
    await pipeline.setPhase(phaseOf('low'));
    const all = [...steps, ...stepsOf(['low'], 1, [4])];
    const results = [];
    for (const { task, microBatches, learningRate } of all)
      results.push(await pipeline.step(task, microBatches, { learningRate }));
    expect(results[2]!.loss).toBe(alone.results[2]!.loss);
    const after = await trainAlone(model, phaseOf('low'), all);
    expect(results[3]!.loss).toBeCloseTo(after.results[3]!.loss, 6);
    await pipeline[Symbol.asyncDispose]();
  });
});

describe('A step', () => {
  test('whose loss is not finite changes nothing on any stage, and training can go on', async () => {
    const [first, , third] = stepsOf(['low'], 3);
    const broken = {
      ...first!,
      microBatches: [
        [{ ...toyExamples(1, model.width)[0]!, target: new Float32Array(model.width).fill(NaN) }],
      ],
    };
    const good = [first!, third!];
    const { results, hashes } = await trainTogether(names, ['low'], [first!, broken, third!], {
      place: placing({ cuts: cuts[4] }),
    });
    expect(results[1]!.loss).toBeNaN();
    const without = await trainTogether(['x'], ['low'], good, onOne);
    expect(hashes).toEqual(without.hashes);
    expect(results[2]).toEqual(without.results[1]);
  });

  test('that a stage fails ends in one error with the device and the cause, and the model says so from then on', async () => {
    const { pipeline } = openToyPipeline(model, names, {
      place: placing({ cuts: cuts[4] }),
      before(device, what) {
        if (device === 'c' && what.startsWith('backward')) throw new Error('out of memory');
      },
    });
    await pipeline.setPhase(phaseOf('low'));
    const [{ task, microBatches, learningRate }] = stepsOf(['low'], 1) as [ToyStep];
    const step = () => pipeline.step(task, microBatches, { learningRate });
    await expect(step()).rejects.toMatchObject({
      code: 'RUNTIME_STAGE_FAILED',
      device: 'c',
      message: expect.stringContaining('out of memory'),
    });
    await expect(step()).rejects.toMatchObject({ code: 'RUNTIME_STAGE_FAILED', device: 'c' });
    await pipeline[Symbol.asyncDispose]();
  });

  test('before any phase is refused', async () => {
    const { pipeline } = openToyPipeline(model, ['a'], onOne);
    await expect(pipeline.step('low', [[]], { learningRate: 1 })).rejects.toMatchObject({
      code: 'RUNTIME_INPUT_INVALID',
    });
    await pipeline[Symbol.asyncDispose]();
  });
});
