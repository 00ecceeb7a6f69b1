import { composeAnswers, type ComposeOptions, type Prediction, TrainerError } from '@contextlora/trainer';
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';

import { sceneGraph } from './scene-tasks.js';

/** Gives the probability of "yes" to a prompt of a task; every prompt that it was asked is kept. */
function modelOf(yes: (task: string, prompt: string) => number) {
  const asked: string[] = [];
  return {
    asked,
    predict(task: string, prompts: readonly string[]): Promise<Prediction[]> {
      asked.push(...prompts.map((prompt) => `${task}: ${prompt}`));
      return Promise.resolve(
        prompts.map((prompt) => {
          const p = yes(task, prompt);
          return { answer: p >= 0.5 ? 'yes' : 'no', labelLogProbabilities: [Math.log(p), Math.log(1 - p)] };
        }),
      );
    },
  };
}

const exampleOf = (_task: string, prompt: string) => prompt;
const compose = (model: ReturnType<typeof modelOf>, options: Partial<ComposeOptions<string>> = {}) =>
  composeAnswers(model, sceneGraph(), 'strategy', [{ text: 'now .' }], { exampleOf, ...options });
const yesOf = (answers: Record<string, readonly Prediction[]>, task: string) =>
  Math.exp(answers[task]?.[0]?.labelLogProbabilities?.[0] ?? NaN);

/** P(yes) of each task given the answers in its prompt. */
const table = fc.record({
  vehicle: fc.double({ min: 0.01, max: 0.99, noNaN: true }),
  weather: fc.double({ min: 0.01, max: 0.99, noNaN: true }),
  road: fc.tuple(...[0, 1].map(() => fc.double({ min: 0.01, max: 0.99, noNaN: true }))),
  strategy: fc.tuple(...[0, 1, 2, 3].map(() => fc.double({ min: 0.01, max: 0.99, noNaN: true }))),
});
type Table = typeof table extends fc.Arbitrary<infer Value> ? Value : never;
const answersIn = (prompt: string) => [...prompt.matchAll(/\b(yes|no)\b/g)].map(([word]) => word === 'yes');
function modelFrom(p: Table) {
  return modelOf((task, prompt) => {
    const [first = false, second = false] = answersIn(prompt);
    if (task === 'road') return p.road[first ? 1 : 0] ?? NaN;
    if (task === 'strategy') return p.strategy[(first ? 2 : 0) + (second ? 1 : 0)] ?? NaN;
    return task === 'vehicle' ? p.vehicle : p.weather;
  });
}

describe('marginal answers', () => {
  test('are the sum over all combinations of parents, for every task on the way, and add up to one', async () => {
    await fc.assert(
      fc.asyncProperty(table, async (p) => {
        const answers = await compose(modelFrom(p), { answers: 'marginal' });
        const road = p.weather * p.road[1]! + (1 - p.weather) * p.road[0]!;
        let strategy = 0;
        for (const vehicle of [0, 1])
          for (const wet of [0, 1])
            strategy +=
              (vehicle ? p.vehicle : 1 - p.vehicle) *
              (wet ? road : 1 - road) *
              p.strategy[2 * vehicle + wet]!;
        expect(yesOf(answers, 'road')).toBeCloseTo(road, 10);
        expect(yesOf(answers, 'strategy')).toBeCloseTo(strategy, 10);
        for (const [{ answer, labelLogProbabilities = [] } = { answer: '' }] of Object.values(answers)) {
          expect(labelLogProbabilities.reduce((sum, value) => sum + Math.exp(value), 0)).toBeCloseTo(1, 10);
          expect(answer).toBe(labelLogProbabilities[0]! >= labelLogProbabilities[1]! ? 'yes' : 'no');
        }
      }),
    );
  });

  test('of the likeliest combination alone are the hard answers', async () => {
    await fc.assert(
      fc.asyncProperty(table, async (p) => {
        const hard = await compose(modelFrom(p));
        expect(await compose(modelFrom(p), { answers: 'marginal', combinations: 1 })).toEqual(hard);
      }),
    );
  });

  test('of fewer combinations than there are come from the likeliest, scaled up to one', async () => {
    const model = modelOf((task, prompt) => {
      if (task === 'strategy') return prompt.includes('vehicle yes') ? 0.9 : 0.2;
      return { vehicle: 0.6, weather: 0.9, road: 0.9 }[task] ?? NaN;
    });
    // Kept are vehicle yes and no with the weather yes (0.54 and 0.36), then each of them with the road yes.
    const answers = await compose(model, { answers: 'marginal', combinations: 2 });
    expect(yesOf(answers, 'strategy')).toBeCloseTo((0.54 * 0.9 + 0.36 * 0.2) / 0.9, 10);
    expect(model.asked.filter((prompt) => prompt.startsWith('strategy'))).toHaveLength(2);
  });

  test('ask a question once, however many combinations lead to it', async () => {
    const model = modelOf(() => 0.5);
    await compose(model, { answers: 'marginal' });
    expect(model.asked).toHaveLength(new Set(model.asked).size);
    // vehicle, weather, road after each weather, strategy after each vehicle and road; the weather no longer counts.
    expect(model.asked).toHaveLength(1 + 1 + 2 + 4);
  });

  test('take given answers as certain', async () => {
    const model = modelOf((task, prompt) => (task === 'strategy' && prompt.includes('road no') ? 0.2 : 0.7));
    const answers = await compose(model, {
      answers: 'marginal',
      known: { road: [{ answer: 'no' }], vehicle: [{ answer: 'yes' }] },
    });
    expect(yesOf(answers, 'strategy')).toBeCloseTo(0.2, 10);
    expect(answers['road']).toEqual([{ answer: 'no' }]);
  });

  test('of a model that writes text are the likeliest text', async () => {
    const model = modelOf((task) => ({ vehicle: 0.7, weather: 0.9, road: 0.5 })[task] ?? NaN);
    const predict = async (task: string, prompts: readonly string[]) =>
      task === 'strategy'
        ? prompts.map((prompt) => ({ answer: prompt.includes('vehicle yes') ? 'go on' : 'wait' }))
        : model.predict(task, prompts);
    const options = { exampleOf, answers: 'marginal' } as const;
    const answers = await composeAnswers({ predict }, sceneGraph(), 'strategy', [{ text: '' }], options);
    expect(answers['strategy']).toEqual([{ answer: 'go on' }]);
  });

  test('refuse a number of combinations that is none', async () => {
    for (const combinations of [0, 1.5, NaN])
      await expect(
        compose(
          modelOf(() => 0.5),
          { combinations },
        ),
      ).rejects.toThrow(TrainerError);
  });
});
