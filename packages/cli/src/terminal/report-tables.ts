/** A run's report as tables on a terminal. */
import type { RunReport } from '@contextlora/finetune';

import { formatTable, percent } from './table.js';

/** Accuracies of each task: with the base, after the task's phase, and at the end. What was not measured stays empty. */
export function taskTable({ tasks, macroAverage: macro }: RunReport): string[] {
  const others = [...new Set(tasks.flatMap(({ otherTests }) => Object.keys(otherTests)))];
  const probe = tasks.some(({ pixelProbe }) => pixelProbe !== undefined);
  const validation = tasks.some((task) => task.validation !== undefined);
  const tested = tasks.filter(({ final }) => final !== null);
  const header = [
    'task',
    'chance',
    'base',
    'after own phase',
    'at the end',
    'same bits',
    ...(validation ? ['validation'] : []),
    ...others,
    ...(probe ? ['pixel probe'] : []),
  ];
  const rows = tasks.map((task) => [
    task.id,
    measured(task.chance),
    ...(task.final === null
      ? ['no test rows', '', '', '']
      : [
          measured(task.base),
          measured(task.afterOwnPhase),
          measured(task.final),
          task.bitIdentical === null ? '' : task.bitIdentical ? 'yes' : 'NO',
        ]),
    ...(validation ? [measured(task.validation)] : []),
    ...others.map((name) => measured(task.otherTests[name])),
    ...(probe ? [measured(task.pixelProbe)] : []),
  ]);
  const macroRow = [
    tested.length === tasks.length ? 'macro average' : `macro average of ${tested.length}`,
    measured(macro.chance),
    measured(macro.base),
    measured(macro.afterOwnPhase),
    measured(macro.final),
  ];
  return formatTable(header, tested.length > 0 ? [...rows, macroRow] : rows);
}

const measured = (accuracy: number | null | undefined) =>
  accuracy === null || accuracy === undefined ? '' : percent(accuracy);

/** The decision task by method, at equal budget. */
export function decisionTable({ methods }: NonNullable<RunReport['decision']>): string[] {
  const tests = [...new Set(methods.flatMap(({ accuracies }) => Object.keys(accuracies)))];
  return formatTable(
    ['method', ...tests, 'parameters', 'steps', 'earlier tasks'],
    methods.map(({ method, accuracies, trainedParameters, steps, keepsEarlierTasks }) => [
      method,
      ...tests.map((test) => measured(accuracies[test])),
      trainedParameters.toLocaleString('en'),
      String(steps),
      keepsEarlierTasks,
    ]),
  );
}
