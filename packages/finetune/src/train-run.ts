/** The method, end to end: partition, phases, training with certificates, evaluation after each phase and at the end. */
import { initialiseSegments, type Partition, partitionRanks } from '@contextlora/lora';
import { createLocalModel, linearsOf, type LoadedModel, type LocalModel } from '@contextlora/model';
import { tasksOf } from '@contextlora/task-graph';
import {
  type CheckpointStore,
  type Phase,
  planPhases,
  rolesOf,
  type RolesOf,
  type TaskRow,
  train,
  type TrainEvent,
  warmupCosine,
} from '@contextlora/trainer';

import { evaluateTask, type TaskEvaluation } from './evaluate-task.js';
import { trainingExamples } from './examples-of.js';
import type { TaskData } from './read-task-data.js';

export interface TrainSettings {
  readonly seed: number;
  /** Ranks per layer, shared by all tasks. */
  readonly rank: number;
  readonly steps: number | Readonly<Record<string, number>>;
  readonly batchSize: number;
  readonly learningRate: number;
}

/** Optimizer steps of one task. */
const stepsOfTask = ({ steps }: TrainSettings, task: string): number =>
  typeof steps === 'number' ? steps : (steps[task] ?? 0);

/** Optimizer steps of all the tasks together. */
export const totalSteps = (settings: TrainSettings, tasks: readonly string[]): number =>
  tasks.reduce((sum, task) => sum + stepsOfTask(settings, task), 0);

export interface ContextRun {
  readonly data: TaskData;
  readonly partition: Partition;
  readonly phases: readonly Phase[];
  readonly model: LocalModel;
}

export type ContextEvent =
  | TrainEvent
  | ({
      readonly type: 'evaluated';
      readonly task: string;
      readonly when: 'afterOwnPhase' | 'final';
      readonly test: string;
    } & TaskEvaluation);

/** Plans a run: which ranks, which phases. Nothing is trained and nothing is written. */
export function planContextRun(
  base: LoadedModel,
  data: TaskData,
  { settings, rolesOf: roles = rolesOf }: { settings: TrainSettings; rolesOf?: RolesOf },
): ContextRun {
  const partition = partitionRanks(linearsOf(base.spec), tasksOf(data.graph), { rank: settings.rank });
  const segments = initialiseSegments(partition, { seed: settings.seed });
  return {
    data,
    partition,
    phases: planPhases(data.graph, { rolesOf: roles }),
    model: createLocalModel(base, { partition, segments }),
  };
}

/** Trains a planned run; evaluates each task on its test sets when its phase ends, and all of them at the end. */
export async function* trainContextRun(
  { data, phases, model }: ContextRun,
  {
    settings,
    checkpoints,
    fingerprint = '',
  }: { settings: TrainSettings; checkpoints?: CheckpointStore; fingerprint?: string },
): AsyncGenerator<ContextEvent, void> {
  const { graph } = data;
  const evaluate = async function* (
    task: string,
    when: 'afterOwnPhase' | 'final',
  ): AsyncGenerator<ContextEvent> {
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
    // What earlier sessions finished is frozen since, to the byte: it answers now as it did then.
    if (event.type === 'resume')
      for (const { tasks } of phases.slice(0, event.position.phase))
        for (const task of tasks) yield* evaluate(task, 'afterOwnPhase');
    if (event.type === 'phaseEnd') for (const task of event.tasks) yield* evaluate(task, 'afterOwnPhase');
  }
  for (const task of phases.flatMap(({ tasks }) => tasks)) yield* evaluate(task, 'final');
}

/** All images that a run will look at, each once. */
export function imagesOf({ rows }: TaskData): string[] {
  const all = Object.values(rows).flatMap(({ train: trainRows, validation, tests }): TaskRow[] => [
    ...trainRows,
    ...validation,
    ...Object.values(tests).flat(),
  ]);
  return [...new Set(all.flatMap(({ image }) => (image === undefined ? [] : [image])))];
}
