import { expect, test } from '@jest/globals';
import {
  type Checkpoint,
  constantRate,
  planPhases,
  splitBest,
  train,
  type TrainEvent,
  type TrainOptions,
} from '@contextlora/trainer';

import { type FakeExample, FakeModel } from './fake-model.js';
import { sceneGraph } from './scene-tasks.js';

const tasks = ['vehicle', 'weather', 'road', 'strategy'];
/** Scores of the states after steps 2, 4, 6, …; ones that come later are 0. */
const scores: Readonly<Record<string, readonly number[]>> = {
  vehicle: [1, 3, 2, 3, 2.5, 4],
  weather: [1, 2, 3, 4, 5, 6],
  road: [5, 1, 1, 1, 1, 1],
  strategy: [0, 0, 0, 0, 0, 1],
};
function options(model: FakeModel, patience?: number): TrainOptions<FakeExample> {
  // By what the segment is, as a score of the state must be.
  const seen = new Map<string, Map<number, number>>();
  return {
    examplesFor: (task) =>
      Array.from({ length: 5 }, (_, i) => ({ prompt: `${task}${i}`, answer: 'x'.repeat(i + 1) })),
    steps: 12,
    seed: 7,
    batchSize: 3,
    learningRate: constantRate(0.1),
    keepBest: {
      everySteps: 2,
      ...(patience === undefined ? {} : { patience }),
      score(task) {
        const known = seen.get(task) ?? new Map<number, number>();
        seen.set(task, known);
        const weight = model.weights[task] ?? NaN;
        if (!known.has(weight)) known.set(weight, scores[task]?.[known.size] ?? 0);
        return Promise.resolve(known.get(weight) ?? NaN);
      },
    },
  };
}

const phases = planPhases(sceneGraph());

async function run(model: FakeModel, given: TrainOptions<FakeExample>, stopAfter = Infinity) {
  const events: TrainEvent[] = [];
  let steps = 0;
  for await (const event of train(model, phases, given)) {
    events.push(event);
    if (event.type === 'step' && ++steps === stopAfter) break;
  }
  return events;
}
const ofType = <Type extends TrainEvent['type']>(events: readonly TrainEvent[], type: Type) =>
  events.filter((event): event is Extract<TrainEvent, { type: Type }> => event.type === type);

/** A store that keeps a copy. */
function memory() {
  let kept: Checkpoint | undefined;
  return {
    load: () => Promise.resolve(kept),
    save(checkpoint: Checkpoint) {
      kept = structuredClone(checkpoint);
      return Promise.resolve();
    },
  };
}

test('the state with the first best score is what a phase keeps, and what the next phases and the certificate see', async () => {
  const model = new FakeModel(tasks);
  const events = await run(model, options(model));
  const ends = ofType(events, 'phaseEnd');
  expect(ends.map(({ best }) => best)).toEqual([
    { step: 11, score: 4 },
    { step: 11, score: 6 },
    { step: 1, score: 5 },
    { step: 11, score: 1 },
  ]);
  const short = new FakeModel(tasks);
  const { keepBest, ...plain } = options(short);
  expect(keepBest).toBeDefined();
  for await (const event of train(short, phases, {
    ...plain,
    steps: { vehicle: 12, weather: 12, road: 2, strategy: 12 },
  }))
    if (event.type === 'phaseEnd') expect(event.certificate).toEqual(ends[event.phase]?.certificate);
  expect(model.weights).toEqual(short.weights);
});

test('a task ends early once its patience is over, and its steps are told with their scores', async () => {
  const model = new FakeModel(tasks);
  const steps = ofType(await run(model, options(model, 2)), 'step');
  const countOf = (task: string) => steps.filter((step) => step.task === task).length;
  expect(tasks.map(countOf)).toEqual([8, 12, 6, 6]);
  expect(steps.filter(({ task }) => task === 'road').map(({ score }) => score)).toEqual([
    undefined,
    5,
    undefined,
    1,
    undefined,
    1,
  ]);
});

test('a run that is stopped after any step and resumed keeps the same states', async () => {
  const whole = new FakeModel(tasks);
  const ends = ofType(await run(whole, options(whole, 2)), 'phaseEnd');
  for (let stop = 1; stop <= 32; stop++) {
    const checkpoints = memory();
    const first = new FakeModel(tasks);
    const given = { ...options(first, 2), checkpoints };
    await run(first, given, stop);
    const second = new FakeModel(tasks);
    // What scored the states of the first run scores those of the second.
    const rest = await run(second, {
      ...given,
      keepBest: { ...given.keepBest!, score: (task) => given.keepBest!.score(shown(first, second, task)) },
    });
    expect(second.weights).toEqual(whole.weights);
    expect(ofType(rest, 'phaseEnd').at(-1)?.certificate).toEqual(ends.at(-1)?.certificate);
  }
});

/** Shows the state of one model through another. */
function shown(from: FakeModel, to: FakeModel, task: string): string {
  from.weights[task] = to.weights[task] ?? NaN;
  return task;
}

test('a score that is no number ends the run', async () => {
  const model = new FakeModel(tasks);
  const given = options(model);
  const attempt = run(model, { ...given, keepBest: { everySteps: 2, score: () => Promise.resolve(NaN) } });
  await expect(attempt).rejects.toMatchObject({ code: 'TRAINER_NOT_FINITE', tasks: ['vehicle'] });
});

test('settings that make no sense and phases of siblings are refused before a step', async () => {
  const model = new FakeModel(tasks);
  const given = options(model, 0);
  await expect(run(model, given)).rejects.toThrow(
    'patience of keepBest must be a whole number, 1 or more, got 0',
  );
  const together = train(model, planPhases(sceneGraph(), { concurrent: true }), options(model));
  await expect(together.next()).rejects.toThrow('keepBest needs a phase for each task');
  expect(model.steps).toBe(0);
});

test.each([
  '{',
  '[]',
  'null',
  '{"step":1,"score":2}',
  '{"step":-1,"score":1,"waited":0}',
  '{"step":1,"score":1,"waited":0,"more":1}',
])('a record of the best state that reads %s is damaged', (text) => {
  const files = { 'best-state.json': new TextEncoder().encode(text) };
  expect(() => splitBest(files)).toThrow(expect.objectContaining({ code: 'TRAINER_CHECKPOINT_DAMAGED' }));
});
