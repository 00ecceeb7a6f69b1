/** A run from its partition to its last evaluation. */
import { initialiseSegments, type Partition, partitionRanks } from '@contextlora/lora';
import { createLocalModel, linearsOf, type LoadedModel, type LocalModel } from '@contextlora/model';
import { tasksOf } from '@contextlora/task-graph';
import {
  type CheckpointStore,
  type Phase,
  planPhases,
  rolesOf as contextRoles,
  type RolesOf,
  train,
  type TrainEvent,
  warmupCosine,
} from '@contextlora/trainer';

import { trainingExamples } from '../data/examples.js';
import { requireFittingRows } from '../data/fit-rows.js';
import type { TaskData } from '../data/task-data.js';
import { evaluateTask, type TaskEvaluation } from './evaluate-task.js';
import type { TrainSettings } from './train-settings.js';

export interface PreparedRun {
  readonly data: TaskData;
  readonly partition: Partition;
  readonly phases: readonly Phase[];
  readonly model: LocalModel;
}

export interface PrepareRunOptions {
  readonly settings: TrainSettings;
  readonly rolesOf?: RolesOf;
  /** Whether the rows are known to fit into the model's context, because `fitRows` returned them. @default false */
  readonly rowsFit?: boolean;
}

/**
 * Decides ranks and phases and makes the model; trains nothing and writes nothing.
 *
 * @throws FinetuneError (`FINETUNE_DATA_INVALID`) when rows are longer than the model's context.
 */
export function prepareRun(
  base: LoadedModel,
  data: TaskData,
  { settings, rolesOf = contextRoles, rowsFit = false }: PrepareRunOptions,
): PreparedRun {
  if (!rowsFit) requireFittingRows(base, data);
  const partition = partitionRanks(linearsOf(base.spec), tasksOf(data.graph), { rank: settings.rank });
  const segments = initialiseSegments(partition, { seed: settings.seed });
  return {
    data,
    partition,
    phases: planPhases(data.graph, { rolesOf }),
    model: createLocalModel(base, { partition, segments }),
  };
}

export type RunEvent =
  | TrainEvent
  | ({
      readonly type: 'evaluated';
      readonly task: string;
      /** `validation`: on the validation rows, after the task's own phase. */
      readonly when: 'afterOwnPhase' | 'validation' | 'final';
      /** Name of the test set; `validation` for the validation rows. */
      readonly test: string;
    } & TaskEvaluation);

export interface TrainRunOptions {
  readonly settings: TrainSettings;
  /** Where a stopped run is kept and resumed from. */
  readonly checkpoints?: CheckpointStore;
  /** Identifies the run's inputs: a checkpoint with another fingerprint is refused. */
  readonly fingerprint?: string;
}

/**
 * Trains phase by phase; evaluates each task on its validation rows and its test sets when its phase ends, and all tasks on their test sets
 * at the end.
 */
export async function* trainRun(
  { data, phases, model }: Pick<PreparedRun, 'data' | 'phases' | 'model'>,
  { settings, checkpoints, fingerprint = '' }: TrainRunOptions,
): AsyncGenerator<RunEvent, void> {
  const { graph } = data;
  const evaluate = async function* (task: string, when: 'afterOwnPhase' | 'final'): AsyncGenerator<RunEvent> {
    for (const [test, rows] of Object.entries(data.rows[task]?.tests ?? {}))
      if (rows.length > 0)
        yield { type: 'evaluated', task, when, test, ...(await evaluateTask(model, { graph, task, rows })) };
  };
  const evaluateFinished = async function* (task: string): AsyncGenerator<RunEvent> {
    const rows = data.rows[task]?.validation ?? [];
    if (rows.length > 0)
      yield {
        type: 'evaluated',
        task,
        when: 'validation',
        test: 'validation',
        ...(await evaluateTask(model, { graph, task, rows })),
      };
    yield* evaluate(task, 'afterOwnPhase');
  };
  const events = train(model, phases, {
    examplesFor: (task) => trainingExamples(graph.getNodeAttributes(task), data.rows[task]?.train ?? []),
    steps: settings.steps,
    seed: settings.seed,
    batchSize: settings.batchSize,
    learningRate: warmupCosine(settings.learningRate),
    fingerprint,
    ...(checkpoints ? { checkpoints, checkpointEverySteps: 100 } : {}),
  });
  for await (const event of events) {
    yield event;
    // Finished tasks have not changed by a byte since, so they answer now as they did then.
    if (event.type === 'resume')
      for (const { tasks } of phases.slice(0, event.position.phase))
        for (const task of tasks) yield* evaluateFinished(task);
    if (event.type === 'phaseEnd') for (const task of event.tasks) yield* evaluateFinished(task);
  }
  for (const task of phases.flatMap(({ tasks }) => tasks)) yield* evaluate(task, 'final');
}
