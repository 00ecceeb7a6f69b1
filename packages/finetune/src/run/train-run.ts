/** A run from end to end: partition, phases, training with certificates, evaluation after each phase and at the end. */
import { initialiseSegments, type Partition, partitionRanks } from '@contextlora/lora';
import { createLocalModel, linearsOf, type LoadedModel, type LocalModel } from '@contextlora/model';
import { tasksOf } from '@contextlora/task-graph';
import {
  type CheckpointStore,
  type Phase,
  planPhases,
  rolesOf,
  type RolesOf,
  train,
  type TrainEvent,
  warmupCosine,
} from '@contextlora/trainer';

import { trainingExamples } from '../data/examples.js';
import { mainTestRows, type TaskData } from '../data/read-task-data.js';
import { evaluateTask, type TaskEvaluation } from './evaluate-task.js';

export interface TrainSettings {
  readonly seed: number;
  /** Ranks per linear, divided among all tasks. */
  readonly rank: number;
  /** Optimizer steps per task; one number for all, or by task. */
  readonly steps: number | Readonly<Record<string, number>>;
  /** Examples per optimizer step. */
  readonly batchSize: number;
  /** Peak of the schedule. */
  readonly learningRate: number;
}

/** Optimizer steps of one task. */
export const stepsOfTask = ({ steps }: Pick<TrainSettings, 'steps'>, task: string): number =>
  typeof steps === 'number' ? steps : (steps[task] ?? 0);

/** Optimizer steps of several tasks together. */
export const totalSteps = (settings: TrainSettings, tasks: readonly string[]): number =>
  tasks.reduce((sum, task) => sum + stepsOfTask(settings, task), 0);

export interface PreparedRun {
  readonly data: TaskData;
  readonly partition: Partition;
  readonly phases: readonly Phase[];
  readonly model: LocalModel;
}

export type RunEvent =
  | TrainEvent
  | ({
      readonly type: 'evaluated';
      readonly task: string;
      readonly when: 'afterOwnPhase' | 'final';
      /** Name of the test set. */
      readonly test: string;
    } & TaskEvaluation);

/** Decides ranks and phases and makes the model; trains nothing and writes nothing. */
export function prepareRun(
  base: LoadedModel,
  data: TaskData,
  { settings, rolesOf: roles = rolesOf }: { settings: TrainSettings; rolesOf?: RolesOf },
): PreparedRun {
  const partition = partitionRanks(linearsOf(base.spec), tasksOf(data.graph), { rank: settings.rank });
  const segments = initialiseSegments(partition, { seed: settings.seed });
  return {
    data,
    partition,
    phases: planPhases(data.graph, { rolesOf: roles }),
    model: createLocalModel(base, { partition, segments }),
  };
}

/** Trains a prepared run; evaluates each task on its test sets when its phase ends, and all of them at the end. */
export async function* trainRun(
  { data, phases, model }: PreparedRun,
  {
    settings,
    checkpoints,
    fingerprint = '',
  }: { settings: TrainSettings; checkpoints?: CheckpointStore; fingerprint?: string },
): AsyncGenerator<RunEvent, void> {
  const { graph } = data;
  const evaluate = async function* (task: string, when: 'afterOwnPhase' | 'final'): AsyncGenerator<RunEvent> {
    for (const [test, rows] of Object.entries(data.rows[task]?.tests ?? {}))
      if (rows.length > 0)
        yield { type: 'evaluated', task, when, test, ...(await evaluateTask(model, { graph, task, rows })) };
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
    // Finished tasks have been frozen since, to the byte: they answer now as they did then.
    if (event.type === 'resume')
      for (const { tasks } of phases.slice(0, event.position.phase))
        for (const task of tasks) yield* evaluate(task, 'afterOwnPhase');
    if (event.type === 'phaseEnd') for (const task of event.tasks) yield* evaluate(task, 'afterOwnPhase');
  }
  for (const task of phases.flatMap(({ tasks }) => tasks)) yield* evaluate(task, 'final');
}

/** Evaluates every task on its main test set with the base alone; each parent's answer is the base's own. */
export async function evaluateBase({ data, model }: PreparedRun): Promise<Map<string, TaskEvaluation>> {
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
