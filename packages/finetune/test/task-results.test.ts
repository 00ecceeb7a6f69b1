import {
  type RecordedEvaluation,
  recordRun,
  type TaskData,
  type TaskEvaluation,
  taskResults,
} from '@contextlora/finetune';
import { buildTaskGraph, parseTasks } from '@contextlora/task-graph';
import { describe, expect, test } from '@jest/globals';

import { taskFile } from './light-scenario.js';

const file = parseTasks(taskFile);
const row = { text: '', parents: {}, answer: 'night' };
const data: TaskData = {
  file,
  graph: buildTaskGraph(file.tasks),
  rows: {
    light: { train: [row], validation: [], tests: { test: [row], other: [row] } },
    lamp: { train: [row], validation: [], tests: {} },
  },
};
const evaluation = (accuracy: number, logProbability = -0.5): TaskEvaluation => ({
  accuracy,
  predictions: [{ answer: 'night', labelLogProbabilities: [logProbability, -1] }],
});

/** An evaluation as a run's record keeps it. */
function recorded(given: TaskEvaluation): RecordedEvaluation {
  const { record, add } = recordRun({ clock: () => 0 });
  add({ type: 'evaluated', task: 'light', when: 'final', test: 'test', ...given });
  return record.evaluations.get('light/final/test')!;
}

describe('the digest of predictions', () => {
  const digest = (given: TaskEvaluation) => recorded(given).predictionsSha256;

  test('covers answers and every bit of the log-probabilities, and not the accuracy alone', () => {
    expect(digest(evaluation(1, 0.1 + 0.2))).toBe(digest(evaluation(1, 0.1 + 0.2)));
    expect(digest(evaluation(1, 0.1 + 0.2))).not.toBe(digest(evaluation(1, 0.3)));
    expect(digest(evaluation(1))).not.toBe(digest({ accuracy: 1, predictions: [{ answer: 'sunny' }] }));
  });
});

describe('taskResults', () => {
  const results = (trained: readonly (readonly [string, TaskEvaluation])[]) =>
    taskResults(data, ['light', 'lamp'], {
      base: new Map([['light', evaluation(0.25)]]),
      trained: new Map(trained.map(([key, given]) => [key, recorded(given)])),
      probes: new Map([['light', { test: 0.6, other: 0.1 }]]),
    });
  const trained = [
    ['light/afterOwnPhase/test', evaluation(0.75)],
    ['light/afterOwnPhase/other', evaluation(0.1)],
    ['light/final/test', evaluation(0.75)],
    ['light/final/other', evaluation(0.5)],
  ] as const;

  test('has a row per task: the main test set before, after its phase and at the end, and the other test sets', () => {
    const { tasks, macroAverage } = results(trained);
    expect(tasks).toEqual([
      {
        id: 'light',
        chance: 0.5,
        base: 0.25,
        afterOwnPhase: 0.75,
        final: 0.75,
        bitIdentical: true,
        otherTests: { other: 0.5 },
        pixelProbe: 0.6,
      },
      // A task without a test set was never evaluated.
      {
        id: 'lamp',
        chance: 0.5,
        base: null,
        afterOwnPhase: null,
        final: null,
        bitIdentical: null,
        otherTests: {},
      },
    ]);
    expect(macroAverage).toEqual({ chance: 0.5, base: 0.25, afterOwnPhase: 0.75, final: 0.75 });
  });

  test('has the accuracy on validation rows, and no number that was not measured', () => {
    const { tasks } = results([['light/validation/validation', evaluation(0.6)], ...trained.slice(0, 3)]);
    expect(tasks[0]).toMatchObject({ validation: 0.6, otherTests: {} });
    const { tasks: untrained, macroAverage } = results([]);
    expect(untrained[0]).toMatchObject({ afterOwnPhase: null, final: null, bitIdentical: null });
    expect(macroAverage).toEqual({ chance: null, base: null, afterOwnPhase: null, final: null });
  });

  test('has no chance for free answers, alone or in an average', () => {
    const graph = buildTaskGraph(file.tasks.map((task) => ({ ...task, answer: { type: 'text' } })));
    const { tasks, macroAverage } = taskResults({ ...data, graph }, ['light'], {
      base: new Map([['light', evaluation(0.25)]]),
      trained: new Map(trained.map(([key, given]) => [key, recorded(given)])),
      probes: new Map(),
    });
    expect(tasks[0]?.chance).toBeNull();
    expect(macroAverage).toEqual({ chance: null, base: 0.25, afterOwnPhase: 0.75, final: 0.75 });
  });

  test('reports a finished task whose answers are different at the end', () => {
    const forgot = results([...trained.slice(0, 2), ['light/final/test', evaluation(0.75, -0.25)]]);
    expect(forgot.tasks[0]).toMatchObject({ afterOwnPhase: 0.75, final: 0.75, bitIdentical: false });
  });
});
