/** The measures of test sets as tables on a terminal. */
import type { SetEvaluation } from '@contextlora/finetune';
import type { TaskGraph } from '@contextlora/task-graph';

import { formatTable, percent } from './table.js';

/** One row per test set; what a task has not stays empty. */
export function evaluationTable(sets: readonly SetEvaluation[]): string[] {
  const binCount = 15;
  const header = [
    'task',
    'test set',
    'rows',
    'accuracy',
    '95 % interval',
    'macro-F1',
    'ECE',
    'NLL',
    'gold parents',
  ];
  const rows = sets.map(
    ({ task, test, rows: count, accuracy, interval, macroF1, calibration, withGoldParents }) => [
      task,
      test,
      String(count),
      percent(accuracy),
      `${(100 * interval.from).toFixed(1)} – ${percent(interval.to)}`,
      macroF1?.toFixed(3) ?? '',
      calibration?.expectedCalibrationError.toFixed(3) ?? '',
      calibration?.negativeLogLikelihood.toFixed(3) ?? '',
      withGoldParents ? percent(withGoldParents.accuracy) : '',
    ],
  );
  return [
    ...formatTable(header, rows),
    `ECE: ${binCount} bins of equal width; NLL in nats; gold parents: accuracy with the right answers of the tasks it builds on`,
  ];
}

/** Tables with more labels than fit a terminal are left to the JSON file. */
const mostLabels = 12;

/** For each label task: the right labels in rows, those given in columns. */
export function confusionTables(sets: readonly SetEvaluation[], graph: TaskGraph): string[] {
  return sets.flatMap(({ task, test, confusion }) => {
    const { answer } = graph.getNodeAttributes(task);
    if (!confusion || answer.type !== 'label' || answer.labels.length > mostLabels) return [];
    const rows = answer.labels.map((label, i) => [label, ...(confusion[i] ?? []).map(String)]);
    return ['', ...formatTable([`${task} on ${test}: right ↓ given →`, ...answer.labels], rows)];
  });
}
