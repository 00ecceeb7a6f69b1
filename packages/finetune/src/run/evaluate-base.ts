/** How well the base model does before any training. */
import type { Example } from '@contextlora/model';
import type { TrainableModel } from '@contextlora/trainer';

import { mainTestRows, type TaskData } from '../data/task-data.js';
import { evaluateTask, type TaskEvaluation } from './evaluate-task.js';

/** Evaluates every task on its main test set without any segment; parents' answers are the base's too. */
export async function evaluateBase({
  data,
  model,
}: {
  readonly data: TaskData;
  readonly model: Pick<TrainableModel<Example>, 'predict'>;
}): Promise<Map<string, TaskEvaluation>> {
  const evaluations = new Map<string, TaskEvaluation>();
  for (const { id } of data.file.tasks) {
    const rows = mainTestRows(data, id);
    if (rows.length > 0)
      evaluations.set(
        id,
        await evaluateTask(model, { graph: data.graph, task: id, rows, rolesOf: () => ({}) }),
      );
  }
  return evaluations;
}
