/** How well a task is answered on held-out rows, with predicted answers of its parents, as in use. */
import type { Example } from '@contextlora/model';
import type { TaskGraph } from '@contextlora/task-graph';
import {
  accuracy,
  composeAnswers,
  type Prediction,
  type RolesOf,
  type TaskRow,
  type TrainableModel,
} from '@contextlora/trainer';

import { exampleOfGraph } from '../data/examples.js';

export interface TaskEvaluation {
  readonly accuracy: number;
  readonly predictions: readonly Prediction[];
}

/** Answers every row of `task` with the given roles and compares with the right answers. */
export async function evaluateTask(
  model: Pick<TrainableModel<Example>, 'predict'>,
  {
    graph,
    task,
    rows,
    rolesOf,
  }: { graph: TaskGraph; task: string; rows: readonly TaskRow[]; rolesOf?: RolesOf },
): Promise<TaskEvaluation> {
  const answers = await composeAnswers(model, graph, task, rows, {
    exampleOf: exampleOfGraph(graph),
    ...(rolesOf ? { rolesOf } : {}),
  });
  const predictions = answers[task] ?? [];
  return {
    accuracy: accuracy(
      predictions.map(({ answer }) => answer),
      rows.map(({ answer }) => answer),
    ),
    predictions,
  };
}
