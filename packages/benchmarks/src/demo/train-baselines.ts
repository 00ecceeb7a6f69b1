/**
 * The two baselines of the demo's decision table, at equal budget: the same base, data, prompts, ranks in all, and passes in all.
 *
 * `empty`: every task alone with its own segment (no shared parameters). `joint`: one LoRA of all the ranks on the mixture of all
 * tasks, which sees every task's data at once.
 */
import { type TaskData, totalSteps, trainingExamples, type TrainSettings } from '@contextlora/finetune';
import { initialiseSegments, partitionRanks, type Partition, type Segments } from '@contextlora/lora';
import {
  createLocalModel,
  type ImageFeatures,
  linearsOf,
  type LoadedModel,
  type Example,
} from '@contextlora/model';
import { tasksOf } from '@contextlora/task-graph';
import {
  emptyGraph,
  planPhases,
  sampleBatch,
  train,
  type TrainEvent,
  warmupCosine,
} from '@contextlora/trainer';

export interface TrainedSegments {
  readonly partition: Partition;
  readonly segments: Segments;
}

/**
 * Trains the tasks that depend on others without their ancestors' segments; tasks without dependencies would come out as in the
 * method itself, to the byte, and are not trained again.
 */
export async function* trainEmptyGraph(
  base: LoadedModel,
  data: TaskData,
  { settings, features }: { settings: TrainSettings; features: ImageFeatures },
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

/** Trains one LoRA of all ranks on equal shares of all tasks, for as many steps as all phases together. */
export async function* trainJoint(
  base: LoadedModel,
  data: TaskData,
  settings: TrainSettings,
): AsyncGenerator<TrainEvent, TrainedSegments> {
  const partition = partitionRanks(linearsOf(base.spec), [{ id: jointTask, dependsOn: [] }], {
    rank: settings.rank,
  });
  const model = createLocalModel(base, {
    partition,
    segments: initialiseSegments(partition, { seed: settings.seed }),
  });
  const tasks = data.file.tasks.map(({ id }) => id);
  const steps = totalSteps(settings, tasks);
  // An equal share of every batch for each task, whatever its number of rows: the scarce task is repeated, not drowned.
  const examples = new Map(
    tasks.map((task) => [
      task,
      trainingExamples(data.graph.getNodeAttributes(task), data.rows[task]?.train ?? []),
    ]),
  );
  const share = Math.ceil(settings.batchSize / tasks.length);
  const mixture = Array.from({ length: steps }, (_, step) =>
    tasks.flatMap((task): Example[] => {
      const own = examples.get(task) ?? [];
      return sampleBatch(own.length, share, { seed: settings.seed, task: `joint/${task}`, step }).flatMap(
        (i) => own[i] ?? [],
      );
    }),
  );
  const rate = warmupCosine(settings.learningRate);
  const roles = { [jointTask]: 'train' } as const;
  await model.setPhase({ tasks: [jointTask], roles: { [jointTask]: roles } });
  yield { type: 'phaseStart', phase: 0, tasks: [jointTask], steps };
  for (const [step, batch] of mixture.entries()) {
    const learningRate = rate(step, steps);
    const result = await model.step(jointTask, [batch], { learningRate });
    yield { type: 'step', phase: 0, task: jointTask, step, steps, learningRate, ...result };
  }
  return { partition, segments: model.segments() };
}
