import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  type CheckpointStore,
  constantRate,
  planPhases,
  train,
  type TrainEvent,
  type TrainOptions,
  type RateShape,
  scheduleRate,
  type TaskStep,
  warmupCosine,
} from '@contextlora/trainer';
import { fileCheckpoints } from '@contextlora/trainer/files';

import { type FakeExample, FakeModel } from './fake-model.js';
import { sceneGraph } from './scene-tasks.js';

const tasks = ['vehicle', 'weather', 'road', 'strategy'];
const options: TrainOptions<FakeExample> = {
  examplesFor: (task) =>
    Array.from({ length: 5 }, (_, i) => ({ prompt: `${task}${i}`, answer: 'x'.repeat(i + 1) })),
  steps: 4,
  seed: 7,
  batchSize: 3,
  learningRate: constantRate(0.1),
};

async function run(
  model: FakeModel,
  more: Partial<TrainOptions<FakeExample>> = {},
  stopAfterSteps = Infinity,
  phases = planPhases(sceneGraph()),
) {
  const events: TrainEvent[] = [];
  let steps = 0;
  for await (const event of train(model, phases, { ...options, ...more })) {
    events.push(event);
    if (event.type === 'step' && ++steps === stopAfterSteps) break;
  }
  return events;
}

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'trainer-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

describe('train', () => {
  test('visits the phases in order and gives each the data of its task only', async () => {
    const model = new FakeModel(tasks);
    await run(model);
    expect(model.calls.filter((call) => call.startsWith('phase'))).toEqual(
      tasks.map((task) => `phase ${task}`),
    );
    for (const call of model.calls.filter((line) => line.startsWith('step'))) {
      const [, task = '', prompts = ''] = /^step (\w+): (.*)$/.exec(call) ?? [];
      expect(prompts.split(' ').every((prompt) => prompt.startsWith(task))).toBe(true);
    }
  });

  test('sees every example once per epoch', async () => {
    const model = new FakeModel(tasks);
    await run(model, { steps: 5 });
    const seen = model.calls
      .filter((call) => call.startsWith('step road'))
      .flatMap((call) => call.slice(11).split(' '));
    expect(seen).toHaveLength(15);
    for (const epoch of [0, 1, 2])
      expect(seen.slice(epoch * 5, epoch * 5 + 5).sort()).toEqual([
        'road0',
        'road1',
        'road2',
        'road3',
        'road4',
      ]);
  });

  test('takes the examples of a step from the strategy it is given', async () => {
    const model = new FakeModel(tasks);
    await run(model, { sample: (count, size, { step }) => [count - 1, size - 1, step] });
    expect(model.calls.filter((call) => call.startsWith('step road'))).toEqual(
      [0, 1, 2, 3].map((step) => `step road: road4 road2 road${step}`),
    );
  });

  test('certifies after each phase that one segment was trained and no other changed', async () => {
    const events = await run(new FakeModel(tasks));
    const checks = events.flatMap((event) => (event.type === 'phaseEnd' ? [event.check] : []));
    expect(checks.map(({ trained }) => trained)).toEqual([['vehicle'], ['weather'], ['road'], ['strategy']]);
    expect(checks.every(({ violated }) => violated.length === 0)).toBe(true);
  });

  test('certifies that a phase has optimizer state for the segments that it trains, and for no other', async () => {
    const events = await run(new FakeModel(tasks));
    const states = events.flatMap((event) => (event.type === 'phaseEnd' ? [event.optimizer] : []));
    expect(states.map((state) => Object.keys(state ?? {}))).toEqual(tasks.map((task) => [task]));
  });

  test.each([
    ['frozen', 'weather'],
    ['masked', 'vehicle'],
  ])('refuses a phase in which a %s segment has optimizer state, before its first step', async (_, other) => {
    const model = new FakeModel(tasks);
    model.leaksMomentumInto = [other];
    const road = planPhases(sceneGraph()).slice(2, 3);
    const attempt = run(model, {}, Infinity, road);
    await expect(attempt).rejects.toMatchObject({ code: 'TRAINER_FREEZE_VIOLATED', tasks: [other] });
    await expect(attempt).rejects.toThrow(
      /has optimizer state for the segment of "\w+" in the phase of "road"/,
    );
    expect(model.steps).toBe(0);
  });

  test('trains a model that does not tell of its optimizer, and certifies its segments', async () => {
    const model = new FakeModel(tasks);
    Object.assign(model, { hashOptimizer: undefined });
    const ends = (await run(model)).filter(({ type }) => type === 'phaseEnd');
    expect(ends).toHaveLength(4);
    for (const end of ends) expect(end).not.toHaveProperty('optimizer');
  });

  test('refuses a phase that moved a frozen segment by the smallest amount', async () => {
    const model = new FakeModel(tasks);
    model.leaksInto = ['weather'];
    await expect(run(model)).rejects.toMatchObject({ code: 'TRAINER_FREEZE_VIOLATED', tasks: ['weather'] });
    await expect(run(new FakeModel(tasks))).resolves.toBeDefined();
  });

  test.each([
    ['frozen', 'weather'],
    ['masked', 'vehicle'],
  ])(
    'refuses a step that moves a %s segment, for only the role of training permits that',
    async (_, other) => {
      const model = new FakeModel(tasks);
      model.leaksInto = [other];
      const road = planPhases(sceneGraph()).slice(2, 3);
      await expect(run(model, {}, Infinity, road)).rejects.toMatchObject({
        code: 'TRAINER_FREEZE_VIOLATED',
        tasks: [other],
      });
    },
  );

  test('saves nothing of a phase that moved a frozen segment: a resumed run would take the damage for its base', async () => {
    const checkpoints = fileCheckpoints(directory);
    const model = new FakeModel(tasks);
    Object.assign(model, { leaksInto: ['weather'], leaksDuring: 'road' });
    await expect(run(model, { checkpoints })).rejects.toThrow(
      'training "road" changed the segment of "weather"',
    );
    const kept = await checkpoints.load();
    expect(kept?.position).toMatchObject({ phase: 2, step: 0 });
    const sound = new FakeModel(tasks);
    await run(sound, {}, Infinity, planPhases(sceneGraph()).slice(0, 2));
    await model.restoreState(kept?.files ?? {});
    expect(model.weights).toEqual(sound.weights);
  });

  test('splits a batch into even micro-batches without losing an example, so that no stage of a pipeline idles', async () => {
    const whole = new FakeModel(tasks);
    await run(whole, { batchSize: 5, steps: 1 });
    const examples = whole.calls[1]?.replace('step vehicle: ', '').split(' ') ?? [];
    const [a, b, c, d, e] = examples;
    for (const [microBatches, expected] of [
      [2, `${a} ${b} ${c} | ${d} ${e}`],
      [4, `${a} ${b} | ${c} | ${d} | ${e}`],
      [9, examples.join(' | ')],
    ] as const) {
      const model = new FakeModel(tasks);
      await run(model, { batchSize: 5, steps: 1, microBatches });
      expect(model.calls[1]).toBe(`step vehicle: ${expected}`);
      expect(model.weights).toEqual(whole.weights);
    }
  });

  test('leaves the earlier tasks as they are when a task is added later', async () => {
    const all = new FakeModel(tasks);
    await run(all);
    const fewer = new FakeModel(tasks);
    const phases = planPhases(sceneGraph()).slice(0, 3);
    for await (const event of train(fewer, phases, options)) expect(event).toBeDefined();
    for (const task of tasks.slice(0, 3)) expect(fewer.weights[task]).toBe(all.weights[task]);
  });
});

describe('a phase that siblings share', () => {
  const phases = planPhases(sceneGraph(), { concurrent: true });

  test('alternates their steps and trains each to the same bits as one after the other', async () => {
    const steps = { vehicle: 2, weather: 3, road: 1, strategy: 1 };
    const together = new FakeModel(tasks);
    const events = await run(together, { steps }, Infinity, phases);
    expect(events.flatMap((event) => (event.type === 'step' ? [`${event.task} ${event.step}`] : []))).toEqual(
      [...['vehicle 0', 'weather 0', 'vehicle 1', 'weather 1', 'weather 2'], ...['road 0', 'strategy 0']],
    );
    const apart = new FakeModel(tasks);
    await run(apart, { steps });
    expect(together.weights).toEqual(apart.weights);
  });

  test('refuses a step that writes into the segment of a sibling, which the end of the phase cannot tell from training', async () => {
    const model = new FakeModel(tasks);
    Object.assign(model, { leaksInto: ['weather'], leaksDuring: 'vehicle' });
    const checkpoints = fileCheckpoints(directory);
    await expect(
      run(model, { checkpoints, checkpointEverySteps: 1 }, Infinity, phases),
    ).rejects.toMatchObject({ code: 'TRAINER_FREEZE_VIOLATED', tasks: ['weather'] });
    expect(model.steps).toBe(1);
    expect(await checkpoints.load()).toBeUndefined();
  });

  test('refuses a step that writes into the momentum of a sibling', async () => {
    const model = new FakeModel(tasks);
    Object.assign(model, { leaksMomentumInto: ['weather'], leaksDuring: 'vehicle' });
    await expect(run(model, {}, Infinity, phases)).rejects.toMatchObject({
      code: 'TRAINER_FREEZE_VIOLATED',
      tasks: ['weather'],
    });
    expect(model.steps).toBe(1);
  });

  test('pays for that with one hash per sibling and step, and a phase of one task with none', async () => {
    const hashesPerStep = async (some: typeof phases) => {
      const [short, long] = [new FakeModel(tasks), new FakeModel(tasks)];
      await run(short, { steps: 1 }, Infinity, some);
      await run(long, { steps: 2 }, Infinity, some);
      return (long.hashes - short.hashes) / (long.steps - short.steps);
    };
    expect(await hashesPerStep(phases.slice(0, 1))).toBe(2);
    expect(await hashesPerStep(phases.slice(1))).toBe(0);
  });

  test.each([1, 2, 5])('resumes to the same bits when stopped after step %i', async (stopAfter) => {
    const uninterrupted = new FakeModel(tasks);
    await run(uninterrupted, {}, Infinity, phases);
    const checkpoints = fileCheckpoints(directory);
    await run(new FakeModel(tasks), { checkpoints }, stopAfter, phases);
    const resumed = new FakeModel(tasks);
    await run(resumed, { checkpoints }, Infinity, phases);
    expect(resumed.weights).toEqual(uninterrupted.weights);
  });
});

describe('the learning rate', () => {
  test('warms up linearly from its first step, since a full rate on fresh moments would overshoot', () => {
    const rate = warmupCosine(8, { warmupSteps: 4, floor: 1 });
    expect([0, 1, 2, 3, 4, 99].map((step) => rate(step, 100))).toEqual([2, 4, 6, 8, 8, 8]);
  });

  test('ends at the floor, so that the last steps still train', () => {
    const rate = warmupCosine(8, { warmupSteps: 0, floor: 0.25 });
    expect(rate(0, 100)).toBe(8);
    expect(rate(50, 100)).toBeCloseTo((8 + 2) / 2, 12);
    expect(rate(100, 100)).toBe(2);
    expect(warmupCosine(8)(100, 100)).toBe(0);
  });

  test('falls along a line, or stays, after a warm-up that is a share of the steps', () => {
    const rates = (shape: RateShape) => {
      const rate = scheduleRate(8, { shape, warmupShare: 0.25, floor: 0.5 });
      return [0, 1, 3, 4, 8].map((step) => rate(step, 8));
    };
    expect(rates('linear')).toEqual([8 * 0.5, 8 * (1 - 1 / 16), 8 * (1 - 3 / 16), 6, 4]);
    expect(rates('constant')).toEqual([4, 8, 8, 8, 8]);
  });

  test.each([
    [{ warmupShare: 1.5 }, /warmupShare must be from 0 to 1, got 1.5/],
    [{ warmupShare: 0.1, warmupSteps: 3 }, /two ways to say one thing/],
  ])('is refused with %j', (options, message) => {
    expect(() => scheduleRate(1, options)).toThrow(message);
  });
});

/** Takes the steps of siblings at once. */
class TogetherModel extends FakeModel {
  rounds: string[] = [];
  async stepTogether(steps: readonly TaskStep<FakeExample>[]) {
    this.rounds.push(steps.map(({ task }) => task).join(' '));
    const results = [];
    for (const { task, microBatches, learningRate } of steps)
      results.push(await this.step(task, microBatches, { learningRate }));
    return results;
  }
}

describe('siblings that a model steps at once', () => {
  const phases = planPhases(sceneGraph(), { concurrent: true });
  const steps = { vehicle: 2, weather: 4, road: 3, strategy: 1 };

  test('end as one after the other, and are told of together', async () => {
    const [apart, together] = [new FakeModel(tasks), new TogetherModel(tasks)];
    const told = await run(apart, { steps }, Infinity, phases);
    const toldAtOnce = await run(together, { steps }, Infinity, phases);
    expect(together.weights).toEqual(apart.weights);
    expect(together.rounds).toEqual(['vehicle weather', 'vehicle weather']);
    expect(
      toldAtOnce.flatMap((event): TrainEvent[] =>
        event.type === 'stepsTogether' ? [...event.steps] : [event],
      ),
    ).toEqual(told);
  });

  test('are saved after whole rounds only, and resume to the same bits on either kind of model', async () => {
    const uninterrupted = new FakeModel(tasks);
    await run(uninterrupted, { steps }, Infinity, phases);
    for (const every of [1, 3]) {
      const positions: number[] = [];
      const kept = fileCheckpoints(join(directory, String(every)));
      const checkpoints: CheckpointStore = {
        load: () => kept.load(),
        async save(checkpoint) {
          positions.push(checkpoint.position.step);
          await kept.save(checkpoint);
        },
      };
      const iterator = train(new TogetherModel(tasks), phases, {
        ...options,
        steps,
        checkpoints,
        checkpointEverySteps: every,
      });
      // The beginning of the phase, its two rounds of two steps, and one of a single step.
      for (let i = 0; i < 4; i++) await iterator.next();
      await iterator.return({ phases: 0, certificate: {} });
      expect(positions).toEqual(every === 1 ? [2, 4, 5] : [4, 5]);
      for (const Resumed of [FakeModel, TogetherModel]) {
        const resumed = new Resumed(tasks);
        await run(
          resumed,
          { steps, checkpoints: { ...checkpoints, save: () => Promise.resolve() } },
          Infinity,
          phases,
        );
        expect(resumed.weights).toEqual(uninterrupted.weights);
      }
    }
  });

  test('may not move a task that is not among them', async () => {
    const model = new TogetherModel(tasks);
    model.leaksInto = ['strategy'];
    await expect(run(model, { steps }, Infinity, phases)).rejects.toMatchObject({
      code: 'TRAINER_FREEZE_VIOLATED',
    });
  });
});

describe('a stopped run', () => {
  test.each([1, 3, 4, 5, 9, 16])('stopped after step %i resumes to the same bits', async (stopAfter) => {
    const uninterrupted = new FakeModel(tasks);
    await run(uninterrupted);

    const checkpoints = fileCheckpoints(directory);
    await run(new FakeModel(tasks), { checkpoints }, stopAfter);
    const resumed = new FakeModel(tasks);
    const events = await run(resumed, { checkpoints });
    expect(events[0]?.type).toBe('resume');
    expect(resumed.weights).toEqual(uninterrupted.weights);
  });

  test('is saved every so many steps even if the process dies', async () => {
    const checkpoints = fileCheckpoints(directory);
    const iterator = train(new FakeModel(tasks), planPhases(sceneGraph()), {
      ...options,
      checkpoints,
      checkpointEverySteps: 2,
    });
    for (let i = 0; i < 4; i++) await iterator.next();
    // No return(): as after a crash.
    expect((await checkpoints.load())?.position).toMatchObject({ phase: 0, step: 2 });
  });

  test('comes after the caller has seen every step and phase end that it counts', async () => {
    const seen: TrainEvent[] = [];
    const counts: (readonly [counted: number, steps: number, phaseEnds: number])[] = [];
    const checkpoints: CheckpointStore = {
      load: () => Promise.resolve(undefined),
      save({ position: { phase, step } }) {
        const of = (type: TrainEvent['type']) => seen.filter((event) => event.type === type).length;
        counts.push([phase * 4 + step, of('step'), of('phaseEnd')]);
        return Promise.resolve();
      },
    };
    for await (const event of train(new FakeModel(tasks), planPhases(sceneGraph()), {
      ...options,
      checkpoints,
      checkpointEverySteps: 3,
    }))
      seen.push(event);
    expect(counts).toEqual(
      [0, 4, 8, 12].flatMap((start, phase) => [
        [start + 3, start + 3, phase],
        [start + 4, start + 4, phase + 1],
      ]),
    );
  });

  test('is not saved after an error, when part of a step may have been applied', async () => {
    const checkpoints = fileCheckpoints(directory);
    const model = new FakeModel(tasks);
    model.failsAtStep = 4;
    await expect(run(model, { checkpoints, checkpointEverySteps: 2 })).rejects.toThrow('out of memory');
    expect((await checkpoints.load())?.position).toMatchObject({ phase: 0, step: 2 });
    const uninterrupted = new FakeModel(tasks);
    await run(uninterrupted);
    const resumed = new FakeModel(tasks);
    await run(resumed, { checkpoints });
    expect(resumed.weights).toEqual(uninterrupted.weights);
  });

  test('of other inputs is refused with the way out and every input that differs', async () => {
    const checkpoints = fileCheckpoints(directory);
    const fingerprint = { seed: '7', 'rows of road': 'a'.repeat(64), 'rows of weather': 'b'.repeat(64) };
    await run(new FakeModel(tasks), { checkpoints, fingerprint }, 2);
    const { seed, ...others } = fingerprint;
    await expect(
      run(new FakeModel(tasks), {
        checkpoints,
        fingerprint: { ...others, 'rows of road': 'c'.repeat(64), rank: '8' },
      }),
    ).rejects.toMatchObject({
      code: 'TRAINER_CHECKPOINT_FOREIGN',
      message: expect.stringMatching(/^trainer\/train: the checkpoint belongs to another run; go back/),
      problems: [
        `seed: ${seed} when the run began, absent now`,
        'rows of road: aaaaaaaaaaaa when the run began, cccccccccccc now',
        'rank: absent when the run began, 8 now',
      ],
    });
    const events = await run(new FakeModel(tasks), { checkpoints, fingerprint });
    expect(events[0]).toMatchObject({ type: 'resume', position: { fingerprint } });
  });

  test('that had already finished gives the segments back', async () => {
    const checkpoints = fileCheckpoints(directory);
    const first = new FakeModel(tasks);
    await run(first, { checkpoints });
    const second = new FakeModel(tasks);
    await run(second, { checkpoints });
    expect(second.weights).toEqual(first.weights);
    expect(second.calls.filter((call) => call.startsWith('step'))).toEqual([]);
  });

  test('keeps one complete checkpoint and refuses a damaged pointer', async () => {
    const checkpoints = fileCheckpoints(directory);
    await run(new FakeModel(tasks), { checkpoints });
    expect((await readdir(directory)).sort()).toEqual(['latest.json', 'phase-4-step-0']);
    await writeFile(join(directory, 'latest.json'), '{"folder":"../x"}');
    await expect(checkpoints.load()).rejects.toThrow('is not a checkpoint of this program');
  });
});
