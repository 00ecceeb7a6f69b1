/** A run's report as tables on a terminal. */
import type { RunReport } from '@contextlora/finetune';

import { formatTable, percent } from './table.js';

/** Accuracies of each task: with the base, after the task's phase, and at the end. */
export function taskTable({ tasks, macroAverage: macro }: RunReport): string[] {
  const others = [...new Set(tasks.flatMap(({ otherTests }) => Object.keys(otherTests)))];
  const probe = tasks.some(({ pixelProbe }) => pixelProbe !== undefined);
  const header = [
    'task',
    'chance',
    'base',
    'after own phase',
    'at the end',
    'same bits',
    ...others,
    ...(probe ? ['pixel probe'] : []),
  ];
  const rows = tasks.map((task) => [
    task.id,
    percent(task.chance),
    percent(task.base),
    percent(task.afterOwnPhase),
    percent(task.final),
    task.bitIdentical ? 'yes' : 'NO',
    ...others.map((name) => (name in task.otherTests ? percent(task.otherTests[name] ?? 0) : '')),
    ...(probe ? [task.pixelProbe === undefined ? '' : percent(task.pixelProbe)] : []),
  ]);
  const macroRow = [
    'macro average',
    percent(macro.chance),
    percent(macro.base),
    percent(macro.afterOwnPhase),
    percent(macro.final),
  ];
  return formatTable(header, [...rows, macroRow]);
}

/** The decision task by method, at equal budget. */
export function decisionTable({ methods }: NonNullable<RunReport['decision']>): string[] {
  const tests = [...new Set(methods.flatMap(({ accuracies }) => Object.keys(accuracies)))];
  return formatTable(
    ['method', ...tests, 'parameters', 'steps', 'earlier tasks'],
    methods.map(({ method, accuracies, trainedParameters, steps, keepsEarlierTasks }) => [
      method,
      ...tests.map((test) => percent(accuracies[test] ?? 0)),
      trainedParameters.toLocaleString('en'),
      String(steps),
      keepsEarlierTasks,
    ]),
  );
}
