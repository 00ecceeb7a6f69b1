/** How well a trained run answers test sets: with the answers that its tasks give each other, as in use, and with the right ones. */
import type { Example } from '@contextlora/model';
import type { TaskGraph } from '@contextlora/task-graph';
import {
  accuracy,
  answerSlots,
  composeAnswers,
  type ComposeOptions,
  inferenceRoles,
  type LabelMeasures,
  measureLabels,
  type Prediction,
  rolesOf,
  shareInterval,
  type TaskRow,
  type TrainableModel,
} from '@contextlora/trainer';

import { exampleOfGraph, trainingExamples } from '../data/examples.js';
import type { TaskData } from '../data/task-data.js';
import { comparableTo } from './evaluate-task.js';

/** Plain JSON. */
export interface SetEvaluation extends Measured {
  readonly task: string;
  readonly test: string;
  readonly rows: number;
  /** The tasks whose answers this one's questions contain, with their accuracy on the same rows. */
  readonly parents: Readonly<Record<string, number>>;
  /** The same with the right answers of these tasks; absent where the task asks for none, or a row lacks one. */
  readonly withGoldParents?: Measured;
}

interface Measured extends Partial<LabelMeasures> {
  /** Free answers and JSON count as right when they are equal: JSON by its values. */
  readonly accuracy: number;
  /** 95 % confidence. */
  readonly interval: { readonly from: number; readonly to: number };
}

export interface EvaluationProgress {
  readonly task: string;
  readonly test: string;
  /** Rows answered, each of them once for every way of filling its slots. */
  readonly done: number;
  readonly total: number;
}

/** Rows between two reports; what a local model answers in one batch. */
const rowsAtOnce = 64;

/** Evaluates every test set in the order of the task file, and yields progress. */
export async function* evaluateSets(
  model: Pick<TrainableModel<Example>, 'predict'>,
  { file, graph, rows }: Pick<TaskData, 'file' | 'graph' | 'rows'>,
  options: Pick<ComposeOptions<Example>, 'answers' | 'combinations'> = {},
): AsyncGenerator<EvaluationProgress, SetEvaluation[]> {
  const sets = file.tasks.flatMap(({ id }) =>
    Object.entries(rows[id]?.tests ?? {}).map(([test, all]) => ({ task: id, test, rows: all })),
  );
  const total = sets.reduce((sum, set) => sum + set.rows.length * (hasGoldParents(graph, set) ? 2 : 1), 0);
  const results: SetEvaluation[] = [];
  let done = 0;
  for (const set of sets) {
    const { task, test } = set;
    const slots = answerSlots(graph.getNodeAttributes(task));
    const predicted = new Map<string, Prediction[]>([task, ...slots].map((id) => [id, []]));
    const withGold: Prediction[] = [];
    for (let start = 0; start < set.rows.length; start += rowsAtOnce) {
      const chunk = set.rows.slice(start, start + rowsAtOnce);
      const answers = await composeAnswers(model, graph, task, chunk, {
        exampleOf: exampleOfGraph(graph),
        ...options,
      });
      for (const [id, all] of predicted) all.push(...(answers[id] ?? []));
      yield { task, test, done: (done += chunk.length), total };
      if (!hasGoldParents(graph, set)) continue;
      withGold.push(...(await answerWithGold(model, graph, task, chunk)));
      yield { task, test, done: (done += chunk.length), total };
    }
    results.push({
      task,
      test,
      rows: set.rows.length,
      ...measure(graph, task, predicted.get(task) ?? [], goldOf(set.rows)),
      parents: Object.fromEntries(
        slots.flatMap((id) => {
          const known = set.rows.every(({ parents }) => Object.hasOwn(parents, id));
          const gold = set.rows.map(({ parents }) => parents[id] ?? '');
          return known ? [[id, measure(graph, id, predicted.get(id) ?? [], gold).accuracy]] : [];
        }),
      ),
      ...(withGold.length > 0 ? { withGoldParents: measure(graph, task, withGold, goldOf(set.rows)) } : {}),
    });
  }
  return results;
}

const goldOf = (rows: readonly TaskRow[]) => rows.map(({ answer }) => answer);

function hasGoldParents(
  graph: TaskGraph,
  { task, rows }: { readonly task: string; readonly rows: readonly TaskRow[] },
) {
  const slots = answerSlots(graph.getNodeAttributes(task));
  return slots.length > 0 && rows.every(({ parents }) => slots.every((id) => Object.hasOwn(parents, id)));
}

const answerWithGold = (
  model: Pick<TrainableModel<Example>, 'predict'>,
  graph: TaskGraph,
  task: string,
  rows: readonly TaskRow[],
): Promise<readonly Prediction[]> =>
  model.predict(
    task,
    trainingExamples(graph.getNodeAttributes(task), rows).map((example) => ({ ...example, answer: '' })),
    inferenceRoles(rolesOf(graph, task)),
  );

function measure(
  graph: TaskGraph,
  task: string,
  predictions: readonly Prediction[],
  gold: readonly string[],
): Measured {
  const spec = graph.getNodeAttributes(task);
  const comparable = comparableTo(spec);
  const share = accuracy(
    predictions.map(({ answer }) => comparable(answer)),
    gold.map(comparable),
  );
  return {
    accuracy: share,
    interval: shareInterval(share, gold.length),
    ...(spec.answer.type === 'label' ? measureLabels(spec.answer.labels, predictions, gold) : {}),
  };
}
