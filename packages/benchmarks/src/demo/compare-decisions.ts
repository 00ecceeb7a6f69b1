/** The composed, scarce task by method, at equal budget. */
import {
  type DecisionResult,
  evaluateTask,
  type TaskData,
  type TaskEvaluation,
  totalSteps,
  type TrainSettings,
} from '@contextlora/finetune';
import { readPartition } from '@contextlora/lora/files';
import { createLocalModel, type LoadedModel, type LocalModel } from '@contextlora/model';
import { tasksOf } from '@contextlora/task-graph';
import { emptyGraph, rolesOf } from '@contextlora/trainer';

import { jointTask, type TrainedSegments } from './train-baselines.js';

export interface CompareDecisionsOptions {
  /** The task that is compared. */
  readonly decision: string;
  readonly base: LoadedModel;
  readonly data: TaskData;
  readonly settings: TrainSettings;
  /** The method's own model, trained. */
  readonly run: LocalModel;
  /** Its evaluations: `${task}/${when}/${test}` → evaluation. */
  readonly evaluations: ReadonlyMap<string, TaskEvaluation>;
  readonly empty: TrainedSegments;
  /** Where the joint baseline's partition was written. */
  readonly jointDirectory: string;
}

/** Evaluates the three methods on every test set of the decision. */
export async function compareDecisions({
  decision,
  base,
  data,
  settings,
  run,
  evaluations,
  empty: trained,
  jointDirectory,
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

  // The roots would come out as in the method, to the byte: their steps do not see the graph.
  const roots = tasksOf(graph).filter(({ id }) => graph.inDegree(id) === 0);
  const segmentsOfRun = run.segments();
  const alone = createLocalModel(base, {
    partition: trained.partition,
    segments: {
      ...trained.segments,
      ...Object.fromEntries(roots.map(({ id }) => [id, segmentsOfRun[id] ?? {}])),
    },
    features: run.features,
  });
  const separate = emptyGraph(graph);
  const empty = await accuraciesOf((rows) =>
    evaluateTask(alone, { graph, task: decision, rows, rolesOf: (_, task) => rolesOf(separate, task) }),
  );

  const together = await readPartition(jointDirectory);
  const jointModel = createLocalModel(base, { ...together, features: run.features });
  const joint = await accuraciesOf((rows) =>
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
      accuracies: empty,
      trainedParameters: trainedParameters(alone),
      steps,
      keepsEarlierTasks: 'unchanged to the byte',
    },
    {
      method: 'joint LoRA',
      accuracies: joint,
      trainedParameters: trainedParameters(jointModel),
      steps,
      keepsEarlierTasks: 'retrained together',
    },
  ];
}

/** How many numbers the segments of a model hold. */
export const trainedParameters = (model: LocalModel): number =>
  Object.values(model.segments())
    .flatMap((segment) => Object.values(segment))
    .reduce((sum, { a, b }) => sum + a.length + b.length, 0);
