/** The demo: the whole method on the embedded model and scenes, from a task file to adapters, and two baselines. */
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

import {
  type AnswerLine,
  answerQuestion,
  evaluateBase,
  type FinishedRun,
  imagesOf,
  mainTestRows,
  openMetricsFile,
  type PreparedRun,
  prepareRun,
  prepareRunDirectory,
  readTaskData,
  readTaskFile,
  recordRun,
  type RunEvent,
  type RunRecord,
  type RunReport,
  stepsOfTask,
  type TaskData,
  taskResults,
  trainingExamples,
  trainRun,
  type TrainSettings,
} from '@contextlora/finetune';
import { type Kernels, openKernels } from '@contextlora/kernels';
import { readPartition } from '@contextlora/lora/files';
import { loadModel, type LoadedModel } from '@contextlora/model';
import type { TaskFile, TaskGraph } from '@contextlora/task-graph';
import type { TaskRow, TrainEvent } from '@contextlora/trainer';
import { fileCheckpoints } from '@contextlora/trainer/files';
import { predictTraining, type TrainingPrediction } from '@contextlora/workloads';

import type { DatasetProgress } from '../iov/write-iov-dataset.js';
import { type BaselineProcess, startBaselines } from './baseline-process.js';
import { compareDecisions, trainedParameters } from './compare-decisions.js';
import { decisionTask, demoSettings, embeddedScenario, jointLearningRate } from './demo-scenario.js';
import { type BoardPlan, planForBoards } from './plan-for-boards.js';
import { renderScenes } from './render-scenes.js';
import { trainEmptyGraph, type TrainedSegments } from './train-baselines.js';

export interface DemoOptions {
  /** Directory that the demo writes to. */
  readonly out: string;
  readonly seed: number;
  /** Multiplies the numbers of scenes and steps; below 1 for a quick look. */
  readonly effort: number;
  /** Whether to train the baselines too. */
  readonly compare: boolean;
  /** Whether to continue an earlier run, from its scenes and its checkpoint. */
  readonly resume: boolean;
  /** Monotonic seconds. */
  readonly clock: () => number;
  /** Path of a program that runs {@link runBaselines} for its subcommand {@link baselineCommand}; started for the joint baseline. */
  readonly program: string;
}

export type DemoEvent =
  | { readonly type: 'tasks'; readonly file: TaskFile; readonly graph: TaskGraph }
  | { readonly type: 'base'; readonly base: LoadedModel; readonly backend: Kernels['backend'] }
  | ({ readonly type: 'rendering' } & DatasetProgress)
  /** `scenes` is 0 if those of an earlier run were kept. */
  | { readonly type: 'rendered'; readonly scenes: number; readonly seconds: number }
  | { readonly type: 'looking'; readonly done: number; readonly total: number }
  | { readonly type: 'looked'; readonly seconds: number }
  | {
      readonly type: 'prepared';
      readonly settings: TrainSettings;
      readonly run: PreparedRun;
      readonly trainedParameters: number;
      readonly prediction: TrainingPrediction;
    }
  /** An event of the method's training; `jointShare` is the progress of the joint baseline in [0, 1]. */
  | { readonly type: 'run'; readonly event: RunEvent; readonly jointShare: number }
  | { readonly type: 'trained'; readonly prediction: NonNullable<RunReport['prediction']> }
  | { readonly type: 'emptyGraph'; readonly event: TrainEvent }
  | { readonly type: 'waitingForJoint'; readonly jointShare: number }
  | { readonly type: 'report'; readonly report: RunReport; readonly decisionRows: number }
  /** The first scene of the decision's test set, with its answer and the answers that this one builds on. */
  | { readonly type: 'question'; readonly row: TaskRow; readonly answers: readonly AnswerLine[] }
  | { readonly type: 'boards'; readonly plan: BoardPlan };

export interface DemoResult extends FinishedRun {
  readonly graph: TaskGraph;
  readonly losses: RunRecord['losses'];
}

/** Runs the demo. Ending the loop early stops it; `resume` continues from there. */
export async function* runDemo({
  out,
  seed,
  effort,
  compare,
  resume,
  clock,
  program,
}: DemoOptions): AsyncGenerator<DemoEvent, DemoResult> {
  const started = clock();
  const seconds: Record<string, number> = {};
  /** Measures from now until the returned function is called. */
  const stopwatch = (stage: string) => {
    const from = clock();
    return () => {
      const elapsed = clock() - from;
      seconds[stage] = Math.round(10 * elapsed) / 10;
      return elapsed;
    };
  };
  const { taskFile, modelDirectory } = embeddedScenario();
  const settings = demoSettings({ seed, effort });
  const { file, graph } = await readTaskFile(taskFile);
  yield { type: 'tasks', file, graph };

  const kernels = await openKernels();
  const loaded = stopwatch('loadModel');
  const base = await loadModel(modelDirectory, { kernels });
  loaded();
  let joint: BaselineProcess | undefined;
  try {
    yield { type: 'base', base, backend: kernels.backend };
    await prepareRunDirectory(out, { keep: resume });
    const dataDirectory = join(out, 'scenes');
    const rendered = stopwatch('renderScenes');
    const rendering = renderScenes(dataDirectory, { seed, effort });
    const scenes = yield* mapped(rendering, (progress) => ({ type: 'rendering', ...progress }));
    yield { type: 'rendered', scenes, seconds: rendered() };
    const data = await readTaskData(taskFile, { dataDirectory });
    const jointDirectory = join(out, 'baselines', 'joint');
    if (compare)
      joint = startBaselines(
        {
          taskFile,
          dataDirectory,
          modelDirectory,
          outputDirectory: jointDirectory,
          settings,
          jointLearningRate,
        },
        { program },
      );

    const run = prepareRun(base, data, { settings });
    const looked = stopwatch('imageFeatures');
    yield* mapped(run.model.features.warm(imagesOf(data)), (progress) => ({ type: 'looking', ...progress }));
    yield { type: 'looked', seconds: looked() };
    const onBase = await evaluateBase(run);
    const predicted = await predictTraining(base, run, {
      examplesOf: (task, count) => firstExamples(data, task, count),
      stepsOf: (task) => stepsOfTask(settings, task),
      batchSize: settings.batchSize,
      rank: settings.rank,
      clock,
    });
    yield {
      type: 'prepared',
      settings,
      run,
      trainedParameters: trainedParameters(run.model),
      prediction: predicted,
    };

    const checkpoints = fileCheckpoints(join(out, 'checkpoints'));
    const metrics = openMetricsFile(join(out, 'metrics.jsonl'));
    const trained = stopwatch('train');
    const { record, add } = recordRun({ clock });
    try {
      for await (const event of trainRun(run, {
        settings,
        checkpoints,
        fingerprint: JSON.stringify(settings),
      })) {
        add(event);
        metrics.add(event);
        yield { type: 'run', event, jointShare: joint?.share() ?? 0 };
      }
    } finally {
      await metrics.flush();
    }
    trained();
    const prediction = {
      predictedSeconds: predicted.seconds,
      measuredSeconds: record.stepSeconds,
      error: predicted.seconds / record.stepSeconds - 1,
      settled: predicted.settled,
    };
    if (!resume) yield { type: 'trained', prediction };

    let empty: TrainedSegments | undefined;
    if (joint) {
      const emptyTrained = stopwatch('trainEmptyGraph');
      empty = yield* mapped(
        trainEmptyGraph(base, data, { settings, features: run.model.features }),
        (event) => ({ type: 'emptyGraph', event }),
      );
      emptyTrained();
      const waited = stopwatch('waitForJoint');
      const isFinished = joint.finished.then(() => true);
      while (!(await Promise.race([isFinished, setTimeout(waitingMilliseconds, false)])))
        yield { type: 'waitingForJoint', jointShare: joint.share() };
      waited();
    }

    const order = run.phases.flatMap(({ tasks }) => tasks);
    const methods =
      empty &&
      (await compareDecisions({
        decision: decisionTask,
        base,
        data,
        settings,
        run: run.model,
        evaluations: record.evaluations,
        empty,
        joint: await readPartition(jointDirectory),
      }));
    const report: RunReport = {
      name: file.name ?? 'demo',
      seed,
      settings: { ...settings, jointLearningRate },
      base: { directory: 'embedded', parameters: base.parameterCount, backend: kernels.backend },
      ...taskResults(data, order, {
        base: onBase,
        trained: record.evaluations,
        probes: joint?.probes ?? new Map(),
      }),
      ...(methods ? { decision: { task: decisionTask, methods } } : {}),
      certificates: record.certificates,
      ...(resume ? {} : { prediction }),
      seconds,
    };
    yield { type: 'report', report, decisionRows: data.rows[decisionTask]?.train.length ?? 0 };

    const [row] = mainTestRows(data, decisionTask);
    if (row) yield { type: 'question', row, answers: await askAbout(row, run) };
    const planned = stopwatch('planBoards');
    const plan = planForBoards(graph);
    planned();
    yield { type: 'boards', plan };
    return {
      graph,
      losses: record.losses,
      partition: run.partition,
      segments: run.model.segments(),
      report: { ...report, seconds: { ...seconds, total: Math.round(clock() - started) } },
    };
  } finally {
    joint?.stop();
    base.dispose();
  }
}

/** Between two checks whether the joint baseline is done. */
const waitingMilliseconds = 200;

/** Passes a generator's values on as events, and returns its result. */
async function* mapped<Value, Result>(
  values: AsyncGenerator<Value, Result>,
  eventOf: (value: Value) => DemoEvent,
): AsyncGenerator<DemoEvent, Result> {
  try {
    for (;;) {
      const next = await values.next();
      if (next.done) return next.value;
      yield eventOf(next.value);
    }
  } finally {
    // When this generator is ended early, so must the inner one: it may have a state to save.
    await values.return(undefined as never);
  }
}

const firstExamples = ({ graph, rows }: TaskData, task: string, count: number) =>
  trainingExamples(graph.getNodeAttributes(task), rows[task]?.train.slice(0, count) ?? []);

const askAbout = ({ text, image }: TaskRow, { model, data }: PreparedRun): Promise<AnswerLine[]> =>
  answerQuestion(model, data.graph, {
    task: decisionTask,
    input: { text, ...(image === undefined ? {} : { image }) },
  });
