import {
  compareDecisions,
  embeddedScenario,
  jointTask,
  trainEmptyGraph,
  type TrainedSegments,
} from '@contextlora/benchmarks';
import { evaluateTask } from '@contextlora/finetune';
import { openKernels } from '@contextlora/kernels';
import { initialiseSegments, keyedRandom, partitionRanks, type Segments } from '@contextlora/lora';
import { createLocalModel, linearsOf, type LoadedModel, loadModel } from '@contextlora/model';
import { buildTaskGraph, parseTasks, tasksOf } from '@contextlora/task-graph';
import type { RolesOf, TaskRow } from '@contextlora/trainer';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

const file = parseTasks(`
version: 1
tasks:
  - { id: light, instruction: '{text} light ?', inputs: [text], answer: { type: label, labels: [night, sunny] } }
  - id: lamp
    dependsOn: [light]
    instruction: '{text} light {light} . lamp ?'
    inputs: [text]
    answer: { type: label, labels: [dry, wet, icy, keep, yield, free, fog] }
`);
const graph = buildTaskGraph(file.tasks);
const words = [
  'low',
  'bright',
  'hazy',
  'drops',
  'flakes',
  'plain',
  'shiny',
  'striped',
  'car',
  'tree',
  'deer',
];

let base: LoadedModel;
beforeAll(async () => {
  base = await loadModel(embeddedScenario().modelDirectory, { kernels: await openKernels({ threads: 1 }) });
});
afterAll(() => {
  base.dispose();
});

/** Segments with random entries large enough to change answers, in place of trained ones. */
function randomSegments(tasks: Parameters<typeof partitionRanks>[1], seed: number): TrainedSegments {
  const partition = partitionRanks(linearsOf(base.spec), tasks, { rank: 8 });
  const segments: Segments = Object.fromEntries(
    Object.entries(initialiseSegments(partition, { seed })).map(([task, segment]) => [
      task,
      Object.fromEntries(
        Object.entries(segment).map(([layer, matrices]) => {
          const random = keyedRandom(seed, 'segment', task, layer);
          return [layer, { ...matrices, b: matrices.b.map(() => 0.1 * random.normal()) }];
        }),
      ),
    ]),
  );
  return { partition, segments };
}

const asked = words.map((word): TaskRow => ({ text: `${word} .`, parents: {}, answer: '' }));
const alone: RolesOf = (_, task) => ({ [task]: 'train' });
const together: RolesOf = () => ({ [jointTask]: 'train' });

async function answersTo(task: string, { partition, segments }: TrainedSegments, rolesOf?: RolesOf) {
  const model = createLocalModel(base, { partition, segments });
  const options = { graph, task, rows: asked, ...(rolesOf ? { rolesOf } : {}) };
  const { predictions } = await evaluateTask(model, options);
  return predictions.map(({ answer }) => answer);
}

/** The comparison on test sets whose right answers are these: a method that gives them has an accuracy of 1. */
async function compareOn(
  decision: string,
  tests: Readonly<Record<string, readonly string[]>>,
  { method, empty, joint }: Readonly<Record<'method' | 'empty' | 'joint', TrainedSegments>>,
) {
  const none = { train: [], validation: [] };
  const sets = Object.entries(tests).map(([name, answers]) => [
    name,
    asked.map((row, i): TaskRow => ({ ...row, answer: answers[i] ?? '' })),
  ]);
  const rows = {
    light: { ...none, tests: {} },
    lamp: { ...none, tests: {} },
    [decision]: { ...none, tests: Object.fromEntries(sets) as Record<string, TaskRow[]> },
  };
  return compareDecisions({
    decision,
    base,
    data: { file, graph, rows },
    settings: { seed: 0, rank: 8, steps: { light: 5, lamp: 7 }, batchSize: 2, learningRate: 1e-3 },
    run: createLocalModel(base, method),
    evaluations: new Map([
      [`${decision}/final/empty`, { accuracy: 0.25, predictions: [] }],
      [`${decision}/final/joint`, { accuracy: 0.75, predictions: [] }],
      [`${decision}/afterOwnPhase/empty`, { accuracy: 0, predictions: [] }],
    ]),
    empty,
    joint,
  });
}

const trained = () => {
  const tasks = tasksOf(graph);
  return {
    method: randomSegments(tasks, 1),
    empty: randomSegments(tasks, 2),
    joint: randomSegments([{ id: jointTask, dependsOn: [] }], 3),
  };
};

test('the empty graph answers without the segments of ancestors, and the joint LoRA with its only segment', async () => {
  const all = trained();
  const { method, empty, joint } = all;
  const emptySegments = { ...empty.segments, light: method.segments['light'] ?? {} };
  const ofEmpty = await answersTo('lamp', { ...empty, segments: emptySegments }, alone);
  const ofJoint = await answersTo('lamp', joint, together);
  // Otherwise this test could not notice the roles of the method, or the segments of another one.
  expect(ofEmpty).not.toEqual(await answersTo('lamp', { ...empty, segments: emptySegments }));
  expect(ofEmpty).not.toEqual(ofJoint);

  const results = await compareOn('lamp', { empty: ofEmpty, joint: ofJoint }, all);
  expect(results.map(({ method, accuracies }) => [method, accuracies])).toEqual([
    ['ContextLoRA', { empty: 0.25, joint: 0.75 }],
    ['empty graph', { empty: 1, joint: 0 }],
    ['joint LoRA', { empty: 0, joint: 1 }],
  ]);
});

test('every method has the same number of steps and parameters', async () => {
  const results = await compareOn('lamp', {}, trained());
  expect(results.map(({ steps }) => steps)).toEqual([12, 12, 12]);
  expect(new Set(results.map(({ trainedParameters }) => trainedParameters)).size).toBe(1);
});

test('a root of the empty graph has the segment that the method trained', async () => {
  const all = trained();
  const ofMethod = await answersTo('light', all.method);
  expect(ofMethod).not.toEqual(await answersTo('light', all.empty));
  const [, emptyGraph] = await compareOn('light', { empty: ofMethod }, all);
  expect(emptyGraph?.accuracies).toEqual({ empty: 1 });
});

test('the empty graph starts from the segments of the seed, and leaves those of roots as they are', async () => {
  const settings = { seed: 7, rank: 8, steps: 2, batchSize: 2, learningRate: 1e-3 };
  const train = asked.map((row): TaskRow => ({ ...row, parents: { light: 'night' }, answer: 'keep' }));
  const rows = Object.fromEntries(['light', 'lamp'].map((id) => [id, { train, validation: [], tests: {} }]));
  const { features } = createLocalModel(base, trained().method);
  const training = trainEmptyGraph(base, { file, graph, rows }, { settings, features });
  let next = await training.next();
  while (!next.done) next = await training.next();
  const { partition, segments } = next.value;
  const untrained = initialiseSegments(partition, { seed: 7 });
  expect(segments['light']).toEqual(untrained['light']);
  expect(segments['lamp']).not.toEqual(untrained['lamp']);
});
