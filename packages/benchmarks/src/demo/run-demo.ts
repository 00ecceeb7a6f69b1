/** The demo: the whole method on the embedded model and scenes, from a task file to adapters, and two baselines. */
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

import {
  type AnswerLine,
  answerQuestion,
  describeInputs,
  digestRows,
  evaluateBase,
  type FinishedRun,
  imagesOf,
  mainTestRows,
  openRunDirectory,
  openRunMetrics,
  type PreparedRun,
  prepareRun,
  readTaskData,
  readTaskFile,
  recordRun,
  type RunEvent,
  type RunRecord,
  type RunReport,
  type TaskData,
  taskResults,
  trainingExamples,
  trainRun,
  type WrittenFile,
} from '@contextlora/finetune';
import { type Kernels, openKernels } from '@contextlora/kernels';
import { readPartition } from '@contextlora/lora/files';
import { digestModel, loadModel, type LoadedModel } from '@contextlora/model';
import type { TaskFile, TaskGraph } from '@contextlora/task-graph';
import { stepsOfTask, type TaskRow, type TrainEvent } from '@contextlora/trainer';
import { fileCheckpoints } from '@contextlora/trainer/files';
import { predictTraining, type TrainingPrediction } from '@contextlora/workloads';

import type { DatasetProgress } from '../iov/write-iov-dataset.js';
import { type BaselineProcess, startBaselines } from './baseline-process.js';
import { compareDecisions, trainedParameters } from './compare-decisions.js';
import {
  decisionTask,
  type DemoSettings,
  demoSettings,
  embeddedName,
  embeddedScenario,
  jointLearningRate,
} from './demo-scenario.js';
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
  /** Whether to start again in place of an earlier run. */
  readonly force?: boolean;
  /** Version of the program: a run of another one is not resumed. */
  readonly version?: string;
  /** Monotonic seconds. */
  readonly clock: () => number;
  /** Path of a program that runs {@link runBaselines} for its subcommand {@link baselineCommand}; started for the joint baseline. */
  readonly program: string;
  /** Writes the results below a directory, from which they are moved into `out`; without it nothing but the working files is written. */
  readonly writeResults?: (result: DemoResult, directory: string) => Promise<readonly WrittenFile[]>;
}

export type DemoEvent =
  /** The run to resume has nothing left to do: no event follows. */
  | { readonly type: 'finished' }
  | { readonly type: 'tasks'; readonly file: TaskFile; readonly graph: TaskGraph }
  | { readonly type: 'base'; readonly base: LoadedModel; readonly backend: Kernels['backend'] }
  | ({ readonly type: 'rendering' } & DatasetProgress)
  /** `scenes` is 0 if those of an earlier run were kept. */
  | { readonly type: 'rendered'; readonly scenes: number; readonly seconds: number }
  | { readonly type: 'looking'; readonly done: number; readonly total: number }
  | { readonly type: 'looked'; readonly seconds: number }
  | { readonly type: 'evaluatingBase'; readonly task: string; readonly done: number; readonly total: number }
  | {
      readonly type: 'prepared';
      readonly settings: DemoSettings;
      readonly run: PreparedRun;
      readonly trainedParameters: number;
      readonly prediction: TrainingPrediction;
    }
  /** An event of the method's training; `jointShare` is the progress of the joint baseline in [0, 1]. */
  | { readonly type: 'run'; readonly event: RunEvent; readonly jointShare: number }
  | { readonly type: 'trained'; readonly prediction: NonNullable<RunReport['timing']['prediction']> }
  | { readonly type: 'emptyGraph'; readonly event: TrainEvent }
  | { readonly type: 'waitingForJoint'; readonly jointShare: number }
  | { readonly type: 'report'; readonly report: RunReport; readonly decisionRows: number }
  /** The first scene of the decision's test set, with its answer and the answers that this one builds on. */
  | { readonly type: 'question'; readonly row: TaskRow; readonly answers: readonly AnswerLine[] }
  | { readonly type: 'boards'; readonly plan: BoardPlan }
  | { readonly type: 'written'; readonly files: readonly WrittenFile[] };

export interface DemoResult extends FinishedRun {
  readonly graph: TaskGraph;
  readonly losses: RunRecord['losses'];
  readonly accuracies: RunRecord['accuracies'];
}

/** Runs the demo. Ending the loop early stops it; `resume` continues from there. Returns nothing if there was nothing left to do. */
export async function* runDemo({
  out,
  seed,
  effort,
  compare,
  resume,
  force = false,
  version = '',
  clock,
  program,
  writeResults = () => Promise.resolve([]),
}: DemoOptions): AsyncGenerator<DemoEvent, DemoResult | undefined> {
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
  await using directory = await openRunDirectory(out, { kind: 'demo', resume, force, isWorkingFile });
  yield { type: 'tasks', file, graph };

  const kernels = await openKernels();
  const loaded = stopwatch('loadModel');
  const base = await loadModel(modelDirectory, { kernels });
  loaded();
  let joint: BaselineProcess | undefined;
  try {
    yield { type: 'base', base, backend: kernels.backend };
    const digests = await resultOf(digestModel(modelDirectory));
    const given = describeInputs({
      settings,
      file,
      model: digests,
      others: {
        'the effort': String(effort),
        'whether the baselines are trained': compare ? 'yes' : 'no',
        'the kernels': kernels.backend,
        'the version of contextlora': version,
      },
    });
    const state = await directory.begin(given);
    if (state === 'finished') {
      yield { type: 'finished' };
      return undefined;
    }
    const dataDirectory = join(out, 'scenes');
    const rendered = stopwatch('renderScenes');
    const rendering = renderScenes(dataDirectory, { seed, effort });
    const scenes = yield* mapped(rendering, (progress) => ({ type: 'rendering', ...progress }));
    yield { type: 'rendered', scenes, seconds: rendered() };
    const data = await readTaskData(taskFile, { dataDirectory });
    const inputs = { ...given, ...(await resultOf(digestRows(data))) };
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
    await directory.describe({
      file,
      dataDirectory,
      model: { name: embeddedName, digests },
      settings,
      inputs,
      partition: run.partition,
      phases: run.phases,
    });
    const looked = stopwatch('imageFeatures');
    yield* mapped(run.model.features.warm(imagesOf(data)), (progress) => ({ type: 'looking', ...progress }));
    yield { type: 'looked', seconds: looked() };
    const onBase = yield* mapped(evaluateBase(run), (progress) => ({ type: 'evaluatingBase', ...progress }));
    const predicted = await predictTraining(base, run, {
      examplesOf: (task, count) => firstExamples(data, task, count),
      stepsOf: (task) => stepsOfTask(settings.steps, task),
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
    const metrics = openRunMetrics(out);
    const trained = stopwatch('train');
    const { record, add } = recordRun({ clock });
    try {
      for await (const event of trainRun(run, {
        settings,
        checkpoints,
        fingerprint: inputs,
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
    // Of a run that was resumed only a part has been measured.
    if (state === 'new') yield { type: 'trained', prediction };

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
      inputs,
      base: { directory: embeddedName, parameters: base.parameterCount, backend: kernels.backend },
      ...taskResults(data, order, {
        base: onBase,
        trained: record.evaluations,
        probes: joint?.probes ?? new Map(),
      }),
      ...(methods ? { decision: { task: decisionTask, methods } } : {}),
      certificates: record.certificates,
      timing: { seconds, ...(state === 'new' ? { prediction } : {}) },
    };
    yield { type: 'report', report, decisionRows: data.rows[decisionTask]?.train.length ?? 0 };

    const [row] = mainTestRows(data, decisionTask);
    if (row) yield { type: 'question', row, answers: await askAbout(row, run) };
    const planned = stopwatch('planBoards');
    const plan = planForBoards(graph);
    planned();
    yield { type: 'boards', plan };
    const total = Math.round(clock() - started);
    const result: DemoResult = {
      graph,
      losses: record.losses,
      accuracies: record.accuracies,
      partition: run.partition,
      segments: run.model.segments(),
      report: { ...report, timing: { ...report.timing, seconds: { ...seconds, total } } },
    };
    yield { type: 'written', files: await directory.finish((folder) => writeResults(result, folder)) };
    return result;
  } finally {
    joint?.stop();
    base.dispose();
  }
}

/** Scenes and baselines: files of this run in addition to those of every run. */
const isWorkingFile = (path: string) =>
  /^scenes\/(complete\.json|\w+\.[\w-]+\.jsonl|images\/\w+\.[\w-]+\/\d{5}\.png)(\.partial)?$/.test(path) ||
  /^baselines\/joint\/(partition\.json|segments\/joint\/[\w.]+)(\.partial)?$/.test(path);

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

/** The result of a generator whose progress nobody watches: the demo's own files are small. */
async function resultOf<Result>(events: AsyncGenerator<unknown, Result>): Promise<Result> {
  for (;;) {
    const next = await events.next();
    if (next.done) return next.value;
  }
}

const firstExamples = ({ graph, rows }: TaskData, task: string, count: number) =>
  trainingExamples(graph.getNodeAttributes(task), [...(rows[task]?.train ?? [])].slice(0, count));

const askAbout = ({ text, image }: TaskRow, { model, data }: PreparedRun): Promise<AnswerLine[]> =>
  answerQuestion(model, data.graph, {
    task: decisionTask,
    input: { text, ...(image === undefined ? {} : { image }) },
  });
