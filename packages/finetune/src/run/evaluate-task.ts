/** How well a task is answered on held-out rows, with predicted answers of its parents, as in use. */
import { type Example, writeJsonAnswer } from '@contextlora/model';
import type { TaskGraph, TaskSpec } from '@contextlora/task-graph';
import {
  accuracy,
  composeAnswers,
  type ComposeOptions,
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

export interface EvaluateTaskOptions extends Pick<
  ComposeOptions<Example>,
  'known' | 'answers' | 'combinations'
> {
  readonly graph: TaskGraph;
  readonly task: string;
  readonly rows: readonly TaskRow[];
  readonly rolesOf?: RolesOf;
}

/** Answers every row of `task` with the given roles and compares with the right answers. */
export async function evaluateTask(
  model: Pick<TrainableModel<Example>, 'predict'>,
  { graph, task, rows, ...options }: EvaluateTaskOptions,
): Promise<TaskEvaluation> {
  const answers = await composeAnswers(model, graph, task, rows, {
    exampleOf: exampleOfGraph(graph),
    ...options,
  });
  const predictions = answers[task] ?? [];
  const comparable = comparableTo(graph.getNodeAttributes(task));
  return {
    accuracy: accuracy(
      predictions.map(({ answer }) => comparable(answer)),
      rows.map(({ answer }) => comparable(answer)),
    ),
    predictions,
  };
}

/** Answers as they are compared: those in JSON by their values, so that 1.50 is 1.5. */
export function comparableTo({ answer: spec }: TaskSpec): (answer: string) => string {
  if (spec.type !== 'json') return (answer) => answer;
  return (answer) => {
    try {
      const written = writeJsonAnswer(JSON.parse(answer), spec.schema);
      return 'text' in written ? written.text : answer;
    } catch {
      return answer;
    }
  };
}
