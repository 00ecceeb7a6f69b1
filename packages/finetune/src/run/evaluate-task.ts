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

/** Of an evaluation that goes on. */
export interface RowsDone {
  readonly done: number;
  readonly total: number;
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

/** Rows of a part: many batches, so that rows of like lengths still find each other. */
const rowsAtOnce = 256;

/** Answers every row of `task` with the given roles and compares with the right answers. */
export async function evaluateTask(
  model: Pick<TrainableModel<Example>, 'predict'>,
  options: EvaluateTaskOptions,
): Promise<TaskEvaluation> {
  const parts = evaluateInParts(model, options);
  for (;;) {
    const next = await parts.next();
    if (next.done) return next.value;
  }
}

/** The same, and yields the rows done between two parts. */
export async function* evaluateInParts(
  model: Pick<TrainableModel<Example>, 'predict'>,
  { graph, task, rows, known = {}, ...options }: EvaluateTaskOptions,
): AsyncGenerator<RowsDone, TaskEvaluation> {
  const predictions: Prediction[] = [];
  for (let start = 0; start < rows.length; start += rowsAtOnce) {
    if (start > 0) yield { done: start, total: rows.length };
    const end = start + rowsAtOnce;
    const answers = await composeAnswers(model, graph, task, rows.slice(start, end), {
      exampleOf: exampleOfGraph(graph),
      known: Object.fromEntries(Object.entries(known).map(([id, given]) => [id, given.slice(start, end)])),
      ...options,
    });
    predictions.push(...(answers[task] ?? []));
  }
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
