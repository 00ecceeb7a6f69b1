import {
  answerQuestion,
  evaluateBase,
  evaluateTask,
  exampleOfGraph,
  type TaskEvaluation,
} from '@contextlora/finetune';
import type { Example } from '@contextlora/model';
import type { Roles } from '@contextlora/lora';
import { buildTaskGraph, parseTasks } from '@contextlora/task-graph';
import type { Prediction } from '@contextlora/trainer';
import { beforeEach, describe, expect, test } from '@jest/globals';

import { taskFile } from './light-scenario.js';

const file = parseTasks(taskFile);
const graph = buildTaskGraph(file.tasks);
const rows = [
  { text: 'low .', parents: { light: 'night' }, answer: 'yes' },
  { text: 'bright .', parents: { light: 'sunny' }, answer: 'no' },
];

/** Says that it is always night, so its answers about the light are wrong half of the time. */
let asked: { task: string; examples: readonly Example[]; roles: Roles | undefined }[];
const model = {
  predict: (task: string, examples: readonly Example[], roles?: Roles): Promise<readonly Prediction[]> => {
    asked.push({ task, examples, roles });
    return Promise.resolve(
      examples.map(() =>
        task === 'light'
          ? { answer: 'night', labelLogProbabilities: [-0.1, -2.4] }
          : { answer: 'yes', labelLogProbabilities: [-0.2, -1.7] },
      ),
    );
  },
};
beforeEach(() => {
  asked = [];
});

describe('evaluateTask', () => {
  test('puts the predicted answers of the parents into the prompt, not the right ones', async () => {
    const { accuracy, predictions } = await evaluateTask(model, { graph, task: 'lamp', rows });
    expect(asked.map(({ task, examples }) => [task, examples.map(({ prompt }) => prompt)])).toEqual([
      ['light', ['low . light ?', 'bright . light ?']],
      ['lamp', ['low . light night . lamp ?', 'bright . light night . lamp ?']],
    ]);
    expect(predictions.map(({ answer }) => answer)).toEqual(['yes', 'yes']);
    expect(accuracy).toBe(0.5);
  });

  test('gives the model the labels to choose from and never the right answer', async () => {
    await evaluateTask(model, { graph, task: 'lamp', rows });
    for (const { examples } of asked) for (const { answer } of examples) expect(answer).toBe('');
    expect(asked.map(({ examples }) => examples[0]?.labels)).toEqual([
      ['night', 'sunny'],
      ['yes', 'no'],
    ]);
  });

  test('gives the model the schema that an answer in JSON must have', async () => {
    const schema = { type: 'object', properties: { on: { type: 'boolean' } }, required: ['on'] };
    const inJson = buildTaskGraph(
      file.tasks.map((task) => (task.id === 'lamp' ? { ...task, answer: { type: 'json', schema } } : task)),
    );
    await evaluateTask(model, { graph: inJson, task: 'lamp', rows });
    expect(asked.map(({ task, examples }) => [task, examples.map((example) => example.schema)])).toEqual([
      ['light', [undefined, undefined]],
      ['lamp', [schema, schema]],
    ]);
  });

  test('uses the segments of each task and its ancestors, or those that other roles name', async () => {
    await evaluateTask(model, { graph, task: 'lamp', rows });
    expect(asked.map(({ task, roles }) => [task, roles])).toEqual([
      ['light', { light: 'freeze', lamp: 'mask' }],
      ['lamp', { light: 'freeze', lamp: 'freeze' }],
    ]);
    asked = [];
    await evaluateTask(model, { graph, task: 'lamp', rows, rolesOf: (_, task) => ({ [task]: 'train' }) });
    expect(asked.map(({ roles }) => roles)).toEqual([{ light: 'freeze' }, { lamp: 'freeze' }]);
  });
});

describe('what a task takes and answers', () => {
  const described = (source: string) => buildTaskGraph(parseTasks(source).tasks);

  test('is an image only if the task file says so, also where an image is there for a parent', () => {
    const seen = described(taskFile.replace('inputs: [text]', 'inputs: [image, text]'));
    const input = { image: 'a.png', text: 'low .' };
    expect(exampleOfGraph(seen)('light', 'light ?', input)).toMatchObject({ image: 'a.png' });
    expect(exampleOfGraph(seen)('lamp', 'lamp ?', input)).not.toHaveProperty('image');
  });

  test('is compared by its value if it is JSON', async () => {
    const schema = '{ type: object, properties: { now: { type: string }, lux: { type: number } } }';
    const json = described(
      taskFile.replace('{ type: label, labels: [night, sunny] }', `{ type: json, schema: ${schema} }`),
    );
    const answers = ['{"now": "night", "lux": 1.50}', '{"now": "sunny", "lux": 1}', 'no json', ''];
    const writer = {
      predict: () => Promise.resolve(answers.map((answer) => ({ answer }))),
    };
    const gold = '{"now": "night", "lux": 1.5}';
    const rowsOfJson = answers.map(() => ({ text: 'a', parents: {}, answer: gold }));
    const { accuracy } = await evaluateTask(writer, { graph: json, task: 'light', rows: rowsOfJson });
    expect(accuracy).toBe(0.25);
  });
});

describe('evaluateBase', () => {
  test('evaluates each task that has a test set, without any segment', async () => {
    const splits = { train: [], validation: [] };
    const data = {
      file,
      graph,
      rows: { light: { ...splits, tests: {} }, lamp: { ...splits, tests: { test: rows } } },
    };
    const evaluating = evaluateBase({ data, model });
    expect(await evaluating.next()).toEqual({
      done: false,
      value: { task: 'lamp', done: 0, total: rows.length },
    });
    const { done, value } = await evaluating.next();
    expect(done).toBe(true);
    const evaluations = value as Map<string, TaskEvaluation>;
    expect([...evaluations].map(([task, { accuracy }]) => [task, accuracy])).toEqual([['lamp', 0.5]]);
    expect(asked.map(({ roles }) => roles)).toEqual([{}, {}]);
  });
});

test('many rows are answered in parts, each with its own known answers, and their number is told', async () => {
  const many = Array.from({ length: 600 }, (_, i) => ({ ...rows[i % 2]!, text: `${i} .` }));
  const known = { light: many.map(({ text }) => ({ answer: text })) };
  const { predictions } = await evaluateTask(model, { graph, task: 'lamp', rows: many, known });
  expect(predictions).toHaveLength(600);
  expect(asked.map(({ examples }) => examples.length)).toEqual([256, 256, 88]);
  expect(asked.flatMap(({ examples }) => examples.map(({ prompt }) => prompt))).toEqual(
    many.map(({ text }) => `${text} light ${text} . lamp ?`),
  );
  const splits = { train: [], validation: [] };
  const data = {
    file,
    graph,
    rows: { light: { ...splits, tests: {} }, lamp: { ...splits, tests: { test: many } } },
  };
  const told: number[] = [];
  for await (const { done } of evaluateBase({ data, model })) told.push(done);
  expect(told).toEqual([0, 256, 512]);
});

describe('answerQuestion', () => {
  test('passes the answers on as a mixture if it is asked to, or takes them as given', async () => {
    const weighing = {
      predict: (task: string, examples: readonly Example[]): Promise<readonly Prediction[]> =>
        Promise.resolve(
          examples.map(({ prompt }) => {
            const yes = task === 'light' ? 0.7 : prompt.includes('night') ? 0.9 : 0.2;
            return {
              answer: yes > 0.5 ? 'night' : 'sunny',
              labelLogProbabilities: [Math.log(yes), Math.log(1 - yes)],
            };
          }),
        ),
    };
    const yes = async (options: { answers?: 'marginal'; known?: Record<string, readonly Prediction[]> }) => {
      const lines = await answerQuestion(weighing, graph, {
        task: 'lamp',
        input: { text: 'dim .' },
        ...options,
      });
      return Math.exp(lines[1]?.labelLogProbabilities?.[0] ?? NaN);
    };
    expect(await yes({})).toBeCloseTo(0.9);
    expect(await yes({ answers: 'marginal' })).toBeCloseTo(0.7 * 0.9 + 0.3 * 0.2);
    expect(await yes({ known: { light: [{ answer: 'sunny' }] } })).toBeCloseTo(0.2);
  });

  test('gives every answer that the last one builds on, with its prompt and its probabilities', async () => {
    expect(await answerQuestion(model, graph, { task: 'lamp', input: { text: 'bright .' } })).toEqual([
      {
        task: 'light',
        prompt: 'bright . light ?',
        answer: 'night',
        labels: ['night', 'sunny'],
        labelLogProbabilities: [-0.1, -2.4],
      },
      {
        task: 'lamp',
        prompt: 'bright . light night . lamp ?',
        answer: 'yes',
        labels: ['yes', 'no'],
        labelLogProbabilities: [-0.2, -1.7],
      },
    ]);
  });
});
