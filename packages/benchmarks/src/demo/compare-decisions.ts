/** The decision task by method, at equal budget. */
import {
  type DecisionResult,
  evaluateTask,
  type TaskData,
  type TaskEvaluation,
  totalSteps,
  type TrainSettings,
} from '@contextlora/finetune';
import { createLocalModel, type LoadedModel, type LocalModel } from '@contextlora/model';
import { tasksOf } from '@contextlora/task-graph';
import { emptyGraph, rolesOf } from '@contextlora/trainer';

import { jointTask, type TrainedSegments } from './train-baselines.js';

export interface CompareDecisionsOptions {
  /** The task to compare: one whose prompt contains other tasks' answers. */
  readonly decision: string;
  readonly base: LoadedModel;
  readonly data: TaskData;
  readonly settings: TrainSettings;
  /** The model trained with the method. */
  readonly run: LocalModel;
  /** Evaluations of that model: `${task}/${when}/${test}` → evaluation. */
  readonly evaluations: ReadonlyMap<string, Pick<TaskEvaluation, 'accuracy'>>;
  /** From {@link trainEmptyGraph}. */
  readonly empty: TrainedSegments;
  /** From {@link trainJoint}. */
  readonly joint: TrainedSegments;
}

/** Evaluates the method and both baselines on every test set of the decision. */
export async function compareDecisions({
  decision,
  base,
  data,
  settings,
  run,
  evaluations,
  empty,
  joint,
}: CompareDecisionsOptions): Promise<DecisionResult[]> {
  const { graph } = data;
  const tests = Object.entries(data.rows[decision]?.tests ?? {});
  const steps = totalSteps(settings, graph.nodes());
  const accuraciesOf = async (
    evaluate: (rows: TaskData['rows'][string]['validation']) => Promise<TaskEvaluation>,
  ) => {
    const accuracies: Record<string, number> = {};
    for (const [name, rows] of tests) accuracies[name] = (await evaluate(rows)).accuracy;
    return accuracies;
  };

  // Roots train the same with any graph, so their segments are the method's, to the byte.
  const roots = tasksOf(graph).filter(({ id }) => graph.inDegree(id) === 0);
  const segmentsOfRun = run.segments();
  const emptyModel = createLocalModel(base, {
    partition: empty.partition,
    segments: {
      ...empty.segments,
      ...Object.fromEntries(roots.map(({ id }) => [id, segmentsOfRun[id] ?? {}])),
    },
    features: run.features,
  });
  const withoutEdges = emptyGraph(graph);
  const emptyAccuracies = await accuraciesOf((rows) =>
    evaluateTask(emptyModel, {
      graph,
      task: decision,
      rows,
      rolesOf: (_, task) => rolesOf(withoutEdges, task),
    }),
  );

  const jointModel = createLocalModel(base, { ...joint, features: run.features });
  const jointAccuracies = await accuraciesOf((rows) =>
    evaluateTask(jointModel, { graph, task: decision, rows, rolesOf: () => ({ [jointTask]: 'train' }) }),
  );
  return [
    {
      method: 'ContextLoRA',
      accuracies: Object.fromEntries(
        tests.map(([name]) => [name, evaluations.get(`${decision}/final/${name}`)?.accuracy ?? 0]),
      ),
      trainedParameters: trainedParameters(run),
      steps,
      keepsEarlierTasks: 'unchanged to the byte',
    },
    {
      method: 'empty graph',
      accuracies: emptyAccuracies,
      trainedParameters: trainedParameters(emptyModel),
      steps,
      keepsEarlierTasks: 'unchanged to the byte',
    },
    {
      method: 'joint LoRA',
      accuracies: jointAccuracies,
      trainedParameters: trainedParameters(jointModel),
      steps,
      keepsEarlierTasks: 'retrained together',
    },
  ];
}

/** Number of parameters in the segments of a model. */
export const trainedParameters = (model: LocalModel): number =>
  Object.values(model.segments())
    .flatMap((segment) => Object.values(segment))
    .reduce((sum, { a, b }) => sum + a.length + b.length, 0);
