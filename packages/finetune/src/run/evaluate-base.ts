/** How well the base model does before any training. */
import type { Example } from '@contextlora/model';
import type { TrainableModel } from '@contextlora/trainer';

import { mainTestRows, type TaskData } from '../data/task-data.js';
import { evaluateInParts, type RowsDone, type TaskEvaluation } from './evaluate-task.js';

/** Evaluates every task on its main test set without any segment; parents' answers are the base's too. Yields the rows done of a task. */
export async function* evaluateBase({
  data,
  model,
}: {
  readonly data: TaskData;
  readonly model: Pick<TrainableModel<Example>, 'predict'>;
}): AsyncGenerator<RowsDone & { readonly task: string }, Map<string, TaskEvaluation>> {
  const evaluations = new Map<string, TaskEvaluation>();
  for (const { id } of data.file.tasks) {
    const rows = mainTestRows(data, id);
    if (rows.length === 0) continue;
    yield { task: id, done: 0, total: rows.length };
    const parts = evaluateInParts(model, { graph: data.graph, task: id, rows, rolesOf: () => ({}) });
    let next = await parts.next();
    for (; !next.done; next = await parts.next()) yield { task: id, ...next.value };
    evaluations.set(id, next.value);
  }
  return evaluations;
}
