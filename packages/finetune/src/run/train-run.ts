/** A run from its partition to its last evaluation. */
import {
  type Importance,
  initialiseSegments,
  keepRanks,
  type Partition,
  type Segments,
} from '@contextlora/lora';
import {
  createLocalModel,
  type ImageFeatures,
  type LoadedModel,
  type LocalModel,
  withChatPrompts,
  withSoundSamples,
} from '@contextlora/model';
import { orderTasks, tasksOf } from '@contextlora/task-graph';
import {
  checkSettings,
  type CheckpointStore,
  type LearningRate,
  type Phase,
  planPhases,
  rolesOf as contextRoles,
  type RolesOf,
  type RunFingerprint,
  sampleBatch,
  type SampleBatch,
  scheduleRate,
  type TaskRow,
  train,
} from '@contextlora/trainer';

import { childDataOf } from '../data/child-data.js';
import { requireFittingRows } from '../data/fit-rows.js';
import { type PredictedAnswers, predictParents } from '../data/parent-answers.js';
import type { TaskData } from '../data/task-data.js';
import { trainingSource } from '../data/training-source.js';
import { batchesOfTask } from './batches-of-run.js';
import { checkTrainConfig } from './check-train-config.js';
import { evaluateInParts } from './evaluate-task.js';
import { metricsEntryOf } from './metrics-entry.js';
import { keepBestOfRun, keepsBest } from './keep-best-of-run.js';
import { withMetrics } from './metrics-in-checkpoints.js';
import { withParentAnswers } from './parent-answers-in-checkpoints.js';
import type { EvaluatedEvent, MetricsEntry, RunEvent } from './run-event.js';
import { optimizerOfRun } from './optimizer-of-run.js';
import { partitionOfRun } from './partition-of-run.js';
import { evaluationKey } from './run-record.js';
import { ofTask } from './setting-values.js';
import type { TrainSettings } from './train-settings.js';

export interface PreparedRun {
  /** The base, with prompts in the form that the settings ask for. */
  readonly base: LoadedModel;
  readonly data: TaskData;
  readonly partition: Partition;
  readonly phases: readonly Phase[];
  readonly model: LocalModel;
}

export interface PrepareRunOptions {
  readonly settings: TrainSettings;
  readonly rolesOf?: RolesOf;
  /** Image features that several runs on one base may share. */
  readonly features?: ImageFeatures;
  /** For allocation by importance: what `measureImportance` returned. */
  readonly importance?: Importance | undefined;
  /** What a change of a run keeps of it. */
  readonly kept?: KeptSegments;
  /** Whether the rows are known to fit into the model's context, because `fitRows` returned them. @default false */
  readonly rowsFit?: boolean;
  /** Whether siblings share a phase, where no best state is kept; a model on several devices trains them side by side. @default false */
  readonly siblingsTogether?: boolean;
  /** Makes the model that trains, another than one in this process. @default createLocalModel */
  readonly createModel?: typeof createLocalModel;
}

/** Segments of a trained run that become part of another. */
interface KeptSegments {
  /** That of the run. */
  readonly partition: Partition;
  /** The segments of the tasks that do not train again. */
  readonly segments: Segments;
  /** The tasks that keep their ranks: those of the segments and, where nobody wants others, those that train again. */
  readonly ranks: readonly string[];
}

/**
 * Checks the settings, decides ranks and phases and makes the model; trains nothing and writes nothing.
 *
 * @throws FinetuneError (`FINETUNE_SETTINGS_INVALID`), TrainerError (`TRAINER_INPUT_INVALID`) or LoraError (`LORA_PARTITION_INVALID`) when
 * a setting makes no sense, FinetuneError (`FINETUNE_DATA_INVALID`) when rows are longer than the model's context.
 */
export function prepareRun(
  loaded: LoadedModel,
  data: TaskData,
  {
    settings,
    rolesOf = contextRoles,
    kept,
    features,
    importance,
    rowsFit = false,
    siblingsTogether = false,
    createModel = createLocalModel,
  }: PrepareRunOptions,
): PreparedRun {
  const tasks = tasksOf(data.graph);
  checkTrainConfig(settings, { tasks, layerCount: loaded.spec.text.layerCount });
  checkSettings({ ...settings, learningRate: rateOfRun(settings) }, { trained: tasks.map(({ id }) => id) });
  const hearing = withSoundSamples(loaded, data.sounds ?? new Map());
  const base = settings.chatTemplate === true ? withChatPrompts(hearing) : hearing;
  if (!rowsFit) requireFittingRows(base, data, { childData: settings });
  const fresh = partitionOfRun(base, data, settings, { importance });
  const partition = kept ? keepRanks(fresh, kept.partition, kept.ranks) : fresh;
  const concurrent = siblingsTogether && !keepsBest(settings);
  const segments = { ...initialiseSegments(partition, { seed: settings.seed }), ...kept?.segments };
  return {
    base,
    data,
    partition,
    phases: phasesWithout(planPhases(data.graph, { rolesOf, concurrent }), Object.keys(kept?.segments ?? {})),
    model: createModel(base, {
      partition,
      segments,
      optimizer: optimizerOfRun(settings),
      promptLoss: settings.promptLoss ?? false,
      ...(settings.loraDropout === undefined
        ? {}
        : { dropout: { seed: settings.seed, rate: settings.loraDropout } }),
      ...(features ? { features } : {}),
    }),
  };
}

/** The phases without the training of these tasks, whose segments stay frozen or masked in the steps of the others. */
function phasesWithout(phases: readonly Phase[], done: readonly string[]): Phase[] {
  return phases.flatMap(({ tasks, roles }) => {
    const left = tasks.filter((task) => !done.includes(task));
    const ofLeft = Object.entries(roles).filter(([task]) => left.includes(task));
    return left.length === 0 ? [] : [{ tasks: left, roles: Object.fromEntries(ofLeft) }];
  });
}

/** The schedule of every task. */
function rateOfRun({
  learningRate,
  schedule = 'cosine',
  warmupSteps,
  warmupShare,
  rateFloor,
}: TrainSettings): LearningRate {
  const schedules = new Map<number, LearningRate>();
  return (step, steps, task) => {
    const peak = ofTask(learningRate, task) ?? NaN;
    const known =
      schedules.get(peak) ??
      scheduleRate(peak, {
        shape: schedule,
        ...(warmupSteps === undefined ? {} : { warmupSteps }),
        ...(warmupShare === undefined ? {} : { warmupShare }),
        ...(rateFloor === undefined ? {} : { floor: rateFloor }),
      });
    schedules.set(peak, known);
    return known(step, steps, task);
  };
}

export interface TrainRunOptions {
  readonly settings: TrainSettings;
  /** Where a stopped run is kept and resumed from. */
  readonly checkpoints?: CheckpointStore;
  /** What the run that a change begins with has recorded of the tasks that it keeps. */
  readonly carried?: readonly MetricsEntry[];
  /** Steps between two checkpoints in a phase, whose end is always saved. @default 100 */
  readonly saveEverySteps?: number;
  /** Identifies the run's inputs: a checkpoint with another fingerprint is refused. */
  readonly fingerprint?: RunFingerprint;
}

/**
 * Trains phase by phase; evaluates each task on its validation rows and its test sets when its phase ends, and all tasks on their test sets
 * at the end. A stopped and resumed run tells in `earlier` and in its own events what an uninterrupted one tells.
 */
export async function* trainRun(
  { base, data, phases, model }: Pick<PreparedRun, 'base' | 'data' | 'phases' | 'model'>,
  { settings, checkpoints, saveEverySteps = 100, carried = [], fingerprint = {} }: TrainRunOptions,
): AsyncGenerator<RunEvent, void> {
  const { graph } = data;
  const entries: MetricsEntry[] = [...carried];
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
      if (rows.length > 0 && !known.has(evaluationKey({ task, when, test }))) {
        const parts = evaluateInParts(model, { graph, task, rows });
        let next = await parts.next();
        for (; !next.done; next = await parts.next()) yield { type: 'evaluating', task, test, ...next.value };
        yield recorded({ type: 'evaluated', task, when, test, ...next.value });
      }
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
  const trained = phases.flatMap(({ tasks }) => tasks);
  const kept = orderTasks(graph).filter((task) => !trained.includes(task));
  let isBegun = false;
  /** Tells first what is known of the tasks that a change keeps. */
  const begin = async function* (): AsyncGenerator<RunEvent> {
    if (isBegun || kept.length === 0) return;
    isBegun = true;
    yield { type: 'carried', earlier: carried };
    for (const task of kept) yield* evaluateFinished(task);
  };
  const keepBest = keepBestOfRun(model, data, settings);
  const batches = new Map<string, SampleBatch>();
  const events = train(model, phases, {
    async examplesFor(id) {
      // Those of the first phase have not been asked yet.
      const asking = askParents([id]);
      while (!(await asking.next()).done);
      const { task, rows, childData } = sourceOf(id);
      batches.set(id, batchesOfTask(base, settings, { task: id, rows }));
      return trainingSource(task, rows, {
        childData,
        seed: settings.seed,
        predicted: predicted.get(id) ?? {},
      });
    },
    sample: (count, size, key) => (batches.get(key.task) ?? sampleBatch)(count, size, key),
    steps: settings.steps,
    seed: settings.seed,
    batchSize: settings.batchSize,
    microBatches: settings.microBatches ?? 1,
    learningRate: rateOfRun(settings),
    ...(keepBest ? { keepBest } : {}),
    fingerprint,
    ...(checkpoints
      ? {
          checkpoints: withMetrics(withParentAnswers(checkpoints, predicted), entries),
          checkpointEverySteps: saveEverySteps,
        }
      : {}),
  });
  for await (const event of trained.length === 0 ? [] : events) {
    if (event.type === 'resume') {
      isBegun = true;
      yield { ...event, earlier: [...entries] };
      // What was not evaluated before the run was stopped. Finished tasks answer now as they did then, to the bit.
      const finished = phases.slice(0, event.position.phase).flatMap(({ tasks }) => tasks);
      for (const task of [...kept, ...finished]) yield* evaluateFinished(task);
      yield* askParents(phases[event.position.phase]?.tasks);
      continue;
    }
    yield* begin();
    if (event.type === 'stepsTogether') {
      // All of them at first: a caller who stops at one has taken them all.
      event.steps.forEach(recorded);
      yield* event.steps;
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
  yield* begin();
  for (const task of [...kept, ...trained]) yield* evaluate(task, 'final');
}
