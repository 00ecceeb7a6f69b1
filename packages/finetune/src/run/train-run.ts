/** A run from its partition to its last evaluation. */
import { initialiseSegments, type Partition, partitionRanks } from '@contextlora/lora';
import { createLocalModel, linearsOf, type LoadedModel, type LocalModel } from '@contextlora/model';
import { tasksOf } from '@contextlora/task-graph';
import {
  checkSettings,
  type CheckpointStore,
  type Phase,
  planPhases,
  rolesOf as contextRoles,
  type RolesOf,
  type RunFingerprint,
  type TaskRow,
  train,
  warmupCosine,
} from '@contextlora/trainer';

import { childDataOf, childDataProblems } from '../data/child-data.js';
import { requireFittingRows } from '../data/fit-rows.js';
import { type PredictedAnswers, predictParents } from '../data/parent-answers.js';
import type { TaskData } from '../data/task-data.js';
import { trainingSource } from '../data/training-source.js';
import { FinetuneError } from '../finetune-error.js';
import { evaluateTask } from './evaluate-task.js';
import { metricsEntryOf } from './metrics-entry.js';
import { withMetrics } from './metrics-in-checkpoints.js';
import { withParentAnswers } from './parent-answers-in-checkpoints.js';
import type { EvaluatedEvent, MetricsEntry, RunEvent } from './run-event.js';
import { evaluationKey } from './run-record.js';
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
 * Checks the settings, decides ranks and phases and makes the model; trains nothing and writes nothing.
 *
 * @throws TrainerError (`TRAINER_INPUT_INVALID`) or LoraError (`LORA_PARTITION_INVALID`) when a setting makes no sense, FinetuneError
 * (`FINETUNE_DATA_INVALID`) when rows are longer than the model's context.
 */
export function prepareRun(
  base: LoadedModel,
  data: TaskData,
  { settings, rolesOf = contextRoles, rowsFit = false }: PrepareRunOptions,
): PreparedRun {
  checkSettings(
    { ...settings, learningRate: warmupCosine(settings.learningRate) },
    { trained: tasksOf(data.graph).map(({ id }) => id) },
  );
  const problems = childDataProblems(settings, tasksOf(data.graph));
  if (problems.length > 0)
    throw new FinetuneError(
      'FINETUNE_SETTINGS_INVALID',
      'prepareRun',
      ['these settings make no sense:', ...problems.map((problem) => `  ${problem}`)].join('\n'),
      { problems },
    );
  if (!rowsFit) requireFittingRows(base, data, { childData: settings });
  const partition = partitionRanks(linearsOf(base.spec), tasksOf(data.graph), { rank: settings.rank });
  const segments = initialiseSegments(partition, { seed: settings.seed });
  return {
    data,
    partition,
    phases: planPhases(data.graph, { rolesOf }),
    model: createLocalModel(base, { partition, segments }),
  };
}

export interface TrainRunOptions {
  readonly settings: TrainSettings;
  /** Where a stopped run is kept and resumed from. */
  readonly checkpoints?: CheckpointStore;
  /** Identifies the run's inputs: a checkpoint with another fingerprint is refused. */
  readonly fingerprint?: RunFingerprint;
}

/**
 * Trains phase by phase; evaluates each task on its validation rows and its test sets when its phase ends, and all tasks on their test sets
 * at the end. A stopped and resumed run tells in `earlier` and in its own events what an uninterrupted one tells.
 */
export async function* trainRun(
  { data, phases, model }: Pick<PreparedRun, 'data' | 'phases' | 'model'>,
  { settings, checkpoints, fingerprint = {} }: TrainRunOptions,
): AsyncGenerator<RunEvent, void> {
  const { graph } = data;
  const entries: MetricsEntry[] = [];
  const recorded = (event: RunEvent): RunEvent => {
    const entry = metricsEntryOf(event);
    if (entry) entries.push(entry);
    return event;
  };
  const evaluate = async function* (
    task: string,
    when: EvaluatedEvent['when'],
    sets: Readonly<Record<string, readonly TaskRow[]>> = data.rows[task]?.tests ?? {},
  ): AsyncGenerator<RunEvent> {
    const known = new Set(
      entries.flatMap((entry) => (entry.type === 'evaluated' ? [evaluationKey(entry)] : [])),
    );
    for (const [test, rows] of Object.entries(sets))
      if (rows.length > 0 && !known.has(evaluationKey({ task, when, test })))
        yield recorded({
          type: 'evaluated',
          task,
          when,
          test,
          ...(await evaluateTask(model, { graph, task, rows })),
        });
  };
  const evaluateFinished = async function* (task: string): AsyncGenerator<RunEvent> {
    yield* evaluate(task, 'validation', { validation: data.rows[task]?.validation ?? [] });
    yield* evaluate(task, 'afterOwnPhase');
  };
  const predicted = new Map<string, PredictedAnswers>();
  const sourceOf = (id: string) => {
    const task = graph.getNodeAttributes(id);
    return { task, rows: data.rows[id]?.train ?? [], childData: childDataOf(settings, task) };
  };
  /** Asks the parents of tasks about their training rows, once. */
  const askParents = async function* (tasks: readonly string[] = []): AsyncGenerator<RunEvent> {
    for (const id of tasks) {
      const { task, rows, childData } = sourceOf(id);
      if (childData.predictedShare === 'none' || predicted.has(id)) continue;
      const asking = predictParents(model, graph, { task, rows, seed: settings.seed, ...childData });
      let next = await asking.next();
      for (; !next.done; next = await asking.next()) yield { type: 'askingParents', task: id, ...next.value };
      predicted.set(id, next.value);
    }
  };
  const events = train(model, phases, {
    async examplesFor(id) {
      // Those of the first phase have not been asked yet.
      const asking = askParents([id]);
      while (!(await asking.next()).done);
      const { task, rows, childData } = sourceOf(id);
      return trainingSource(task, rows, {
        childData,
        seed: settings.seed,
        predicted: predicted.get(id) ?? {},
      });
    },
    steps: settings.steps,
    seed: settings.seed,
    batchSize: settings.batchSize,
    learningRate: warmupCosine(settings.learningRate),
    fingerprint,
    ...(checkpoints
      ? {
          checkpoints: withMetrics(withParentAnswers(checkpoints, predicted), entries),
          checkpointEverySteps: 100,
        }
      : {}),
  });
  for await (const event of events) {
    if (event.type === 'resume') {
      yield { ...event, earlier: [...entries] };
      // What was not evaluated before the run was stopped. Finished tasks answer now as they did then, to the bit.
      for (const { tasks } of phases.slice(0, event.position.phase))
        for (const task of tasks) yield* evaluateFinished(task);
      yield* askParents(phases[event.position.phase]?.tasks);
      continue;
    }
    yield recorded(event);
    if (event.type !== 'phaseEnd') continue;
    for (const task of event.tasks) {
      predicted.delete(task);
      yield* evaluateFinished(task);
    }
    yield* askParents(phases[event.phase + 1]?.tasks);
  }
  for (const task of phases.flatMap(({ tasks }) => tasks)) yield* evaluate(task, 'final');
}
