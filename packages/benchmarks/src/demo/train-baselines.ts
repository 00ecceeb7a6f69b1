/**
 * The two baselines of the demo's decision table, at equal budget: the same base, data, prompts, total ranks and total passes.
 *
 * `empty`: every task alone with its own segment, so no parameters are shared. `joint`: one LoRA with all the ranks, on a mixture
 * of all tasks' data.
 */
import { type TaskData, totalSteps, trainingExamples } from '@contextlora/finetune';
import { initialiseSegments, partitionRanks, type Partition, type Segments } from '@contextlora/lora';
import { createLocalModel, type ImageFeatures, linearsOf, type LoadedModel } from '@contextlora/model';
import { tasksOf } from '@contextlora/task-graph';
import {
  emptyGraph,
  planPhases,
  stratifiedBatch,
  train,
  type TrainEvent,
  warmupCosine,
} from '@contextlora/trainer';

import type { DemoSettings } from './demo-scenario.js';

export interface TrainedSegments {
  readonly partition: Partition;
  readonly segments: Segments;
}

/**
 * Trains the tasks that depend on others, without their ancestors' segments. Tasks without dependencies are not trained again: they
 * would come out as in the method, to the byte.
 */
export async function* trainEmptyGraph(
  base: LoadedModel,
  data: TaskData,
  { settings, features }: { settings: DemoSettings; features: ImageFeatures },
): AsyncGenerator<TrainEvent, TrainedSegments> {
  const graph = emptyGraph(data.graph);
  const partition = partitionRanks(linearsOf(base.spec), tasksOf(data.graph), { rank: settings.rank });
  const model = createLocalModel(base, {
    partition,
    segments: initialiseSegments(partition, { seed: settings.seed }),
    features,
  });
  const phases = planPhases(graph).filter(({ tasks: [task = ''] }) => data.graph.inDegree(task) > 0);
  yield* train(model, phases, {
    examplesFor: (task) => trainingExamples(data.graph.getNodeAttributes(task), data.rows[task]?.train ?? []),
    steps: settings.steps,
    seed: settings.seed,
    batchSize: settings.batchSize,
    learningRate: warmupCosine(settings.learningRate),
  });
  return { partition, segments: model.segments() };
}

/** The one task of the joint baseline's partition. */
export const jointTask = 'joint';

/**
 * Trains one LoRA of all ranks for as many steps as all phases together. Each task has an equal share of every batch: a task with few rows
 * is repeated.
 */
export async function* trainJoint(
  base: LoadedModel,
  data: TaskData,
  settings: DemoSettings,
): AsyncGenerator<TrainEvent, TrainedSegments> {
  const partition = partitionRanks(linearsOf(base.spec), [{ id: jointTask, dependsOn: [] }], {
    rank: settings.rank,
  });
  const model = createLocalModel(base, {
    partition,
    segments: initialiseSegments(partition, { seed: settings.seed }),
  });
  const groups = data.file.tasks.map((task) => ({
    name: task.id,
    examples: trainingExamples(task, data.rows[task.id]?.train ?? []),
  }));
  yield* train(model, [{ tasks: [jointTask], roles: { [jointTask]: { [jointTask]: 'train' } } }], {
    examplesFor: () => groups.flatMap(({ examples }) => examples),
    sample: stratifiedBatch(groups.map(({ name, examples }) => ({ name, count: examples.length }))),
    steps: totalSteps(
      settings,
      groups.map(({ name }) => name),
    ),
    seed: settings.seed,
    batchSize: settings.batchSize,
    learningRate: warmupCosine(settings.learningRate),
  });
  return { partition, segments: model.segments() };
}
