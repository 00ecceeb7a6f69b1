import {
  answerQuestions,
  compareInspected,
  evaluateSets,
  type Inspected,
  type OpenedRun,
  questionProblems,
} from '@contextlora/finetune';
import type { Example } from '@contextlora/model';
import { buildTaskGraph, parseTasks } from '@contextlora/task-graph';
import type { Prediction, TaskRow } from '@contextlora/trainer';
import { beforeEach, describe, expect, test } from '@jest/globals';

const file = parseTasks(`
version: 1
tasks:
  - { id: light, instruction: 'light ?', inputs: [image], answer: { type: label, labels: [night, sunny] } }
  - id: lamp
    dependsOn: [light]
    instruction: '{text} light {light} . lamp ?'
    inputs: [text]
    answer: { type: label, labels: [yes, no] }
  - id: note
    dependsOn: [lamp]
    instruction: 'lamp {lamp} . note ?'
    inputs: [text]
    answer: { type: json, schema: { type: object, properties: { hours: { type: number } }, required: [hours] } }
`);
const graph = buildTaskGraph(file.tasks);

/** Finds every light to be night, switches the lamp on when it reads so, and notes one hour. */
let asked: string[][];
const model = {
  predict: (_: string, examples: readonly Example[]): Promise<readonly Prediction[]> => {
    asked.push(examples.map(({ prompt }) => prompt));
    return Promise.resolve(
      examples.map(({ prompt, labels }) => {
        if (!labels) return { answer: '{"hours":1.0}' };
        const first = labels[0] === 'night' || prompt.includes('light night');
        return {
          answer: labels[first ? 0 : 1]!,
          labelLogProbabilities: (first ? [0.8, 0.2] : [0.2, 0.8]).map(Math.log),
        };
      }),
    );
  },
};
beforeEach(() => {
  asked = [];
});

describe('evaluateSets', () => {
  const rows: readonly TaskRow[] = [
    { image: 'a.png', text: 'low', parents: { light: 'night' }, answer: 'yes' },
    { image: 'b.png', text: 'bright', parents: { light: 'sunny' }, answer: 'no' },
  ];
  const splits = (tests: Record<string, readonly TaskRow[]>) => ({ train: [], validation: [], tests });
  async function evaluated(sets: Record<string, ReturnType<typeof splits>>) {
    const evaluating = evaluateSets(model, { file, graph, rows: sets });
    const progress: string[] = [];
    for (;;) {
      const { done, value } = await evaluating.next();
      if (done) return { progress, results: value };
      progress.push(`${value.task} ${value.done}/${value.total}`);
    }
  }

  test('asks end to end and with the right answers of parents, and says how often each parent was right', async () => {
    const { results, progress } = await evaluated({ lamp: splits({ test: rows }) });
    expect(results).toEqual([
      expect.objectContaining({
        ...{ task: 'lamp', test: 'test', rows: 2, accuracy: 0.5, parents: { light: 0.5 } },
        confusion: [
          [1, 0],
          [1, 0],
        ],
        withGoldParents: expect.objectContaining({ accuracy: 1 }),
      }),
    ]);
    expect(progress).toEqual(['lamp 2/4', 'lamp 4/4']);
    expect(asked.flat()).toContain('bright light night . lamp ?');
    expect(asked.flat()).toContain('bright light sunny . lamp ?');
  });

  test('compares JSON by its values, and leaves out what rows do not say', async () => {
    const notes = [
      { text: '', image: 'a.png', parents: {}, answer: '{ "hours": 1 }' },
      { text: '', image: 'a.png', parents: {}, answer: '{"hours":2}' },
    ];
    const { results } = await evaluated({ note: splits({ new: notes }) });
    expect(results).toEqual([expect.objectContaining({ task: 'note', accuracy: 0.5, parents: {} })]);
    for (const key of ['confusion', 'calibration', 'withGoldParents'])
      expect(results[0]).not.toHaveProperty(key);
  });
});

describe('questions', () => {
  const run = (settings: object = {}) => ({ graph, settings }) as Pick<OpenedRun, 'graph' | 'settings'>;

  test('need what the asked tasks take, and no more once an answer is given', async () => {
    const question = { task: 'lamp', text: 'low' };
    expect(await questionProblems(run(), question)).toEqual([
      'task "light" takes an image, but none is given',
    ]);
    expect(await questionProblems(run(), { ...question, given: { light: 'night' } })).toEqual([]);
    expect(await questionProblems(run(), { task: 'note', given: { lamp: 'yes' } })).toEqual([]);
    expect(await questionProblems(run(), { task: 'note', text: 'low', given: { lamp: 'maybe' } })).toEqual([
      'the given answer "maybe" is not a label of task "lamp" (yes, no)',
      'a text is given, but task "note" has no slot {text}',
    ]);
  });

  test('may lack a text or an image that the task has learned to do without', async () => {
    const question = { task: 'lamp', given: { light: 'night' } };
    expect(await questionProblems(run(), question)).toHaveLength(1);
    expect(await questionProblems(run({ textDropout: 0.3 }), question)).toEqual([]);
  });

  test('are answered together where they can be, each with its own answers', async () => {
    const answers = [];
    const questions = [
      { task: 'note', text: 'low', image: 'a.png' },
      { task: 'lamp', text: 'dim', given: { light: 'sunny' } },
      { task: 'note', text: 'high', image: 'b.png' },
    ];
    for await (const one of answerQuestions(model, graph, questions)) answers.push(one);
    expect(answers.map((one) => one.map(({ task, answer }) => `${task} ${answer}`))).toEqual([
      ['light night', 'lamp yes', 'note {"hours":1.0}'],
      ['light sunny', 'lamp no'],
      ['light night', 'lamp yes', 'note {"hours":1.0}'],
    ]);
    expect(answers[1]?.[1]).toEqual({
      ...{ task: 'lamp', prompt: 'dim light sunny . lamp ?', answer: 'no' },
      probability: expect.closeTo(0.8, 10),
      labels: [
        ['no', expect.closeTo(0.8, 10)],
        ['yes', expect.closeTo(0.2, 10)],
      ],
    });
    // Both notes in one call for each task; what was given is not asked.
    expect(asked.map(({ length }) => length)).toEqual([2, 2, 2, 1]);
  });
});

test('two inspected things differ in facts, in tensors that one lacks, in shapes and in numbers', async () => {
  const of = (facts: Record<string, string>, tensors: Record<string, number[]>): Inspected => ({
    kind: 'adapter',
    path: '',
    facts,
    tensors: Object.entries(tensors).map(([name, values]) => ({
      name,
      shape: [values.length],
      read: () => Promise.resolve(Float32Array.from(values)),
    })),
    close: () => Promise.resolve(),
  });
  const comparing = compareInspected(
    of({ r: '8', seed: '0' }, { same: [1, 2], near: [1, 2], broken: [1, NaN], shape: [1], gone: [1] }),
    of(
      { r: '16', seed: '0', new: 'x' },
      { same: [1, 2], near: [1, 2.5], broken: [1, 1], shape: [1, 2], added: [1] },
    ),
  );
  let next = await comparing.next();
  while (!next.done) next = await comparing.next();
  expect(next.value).toEqual({
    facts: [
      { name: 'r', one: '8', other: '16' },
      { name: 'new', other: 'x' },
    ],
    onlyOne: ['gone'],
    onlyOther: ['added'],
    equalTensors: 1,
    tensors: [
      { name: 'near', maximumAbsoluteDifference: 0.5, differing: 1, shapes: [[2], [2]] },
      { name: 'broken', maximumAbsoluteDifference: NaN, differing: 1, shapes: [[2], [2]] },
      { name: 'shape', shapes: [[1], [2]] },
    ],
  });
});
