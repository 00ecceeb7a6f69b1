/** `contextlora demo`: the whole method on the embedded model and scenes, from a task file to adapters. */
import { stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';

import { defaultIovCounts, type IovCounts, writeIovDataset } from '@contextlora/benchmarks';
import { openKernels } from '@contextlora/kernels';
import { writeWhole } from '@contextlora/lora';
import { type ImageFeatures, loadModel, type LoadedModel, type LocalModel } from '@contextlora/model';
import { fileCheckpoints } from '@contextlora/trainer';
import { toText } from '@contextlora/task-graph';

import { planBoards } from '../plan/plan-boards.js';
import { answerQuestion } from '../run/answer-question.js';
import { compareDecisions, trainedParameters } from '../run/compare-decisions.js';
import { evaluateTask, type TaskEvaluation } from '../run/evaluate-task.js';
import { openMetricsFile } from '../run/metrics-file.js';
import { readTaskData, readTaskFile, type TaskData } from '../run/read-task-data.js';
import { decisionTable, type RunReport, taskTable } from '../run/run-report.js';
import { showTraining } from '../run/show-training.js';
import { mainTestOf, taskResults } from '../run/task-results.js';
import { type TrainedSegments, trainEmptyGraph } from '../run/train-baselines.js';
import { imagesOf, planContextRun, trainContextRun, type TrainSettings } from '../run/train-context.js';
import { writeRun } from '../run/write-run.js';
import { predictTraining } from '../seam/predict-training.js';
import { bar, clockTime } from '../terminal/progress.js';
import { percent } from '../terminal/table.js';
import { startBaselines } from './baseline-process.js';
import { type CommandContext, Stopped, untilStopped } from './command-context.js';
import { prepareOutput } from './prepare-output.js';

export interface DemoOptions {
  readonly out: string;
  readonly seed: number;
  /** Multiplies all step counts: a quick look with less than 1. */
  readonly effort: number;
  /** Train the baselines too. */
  readonly compare: boolean;
  readonly resume: boolean;
}

/** The scarce, composed task whose methods are compared. */
const decision = 'strategy';

/** Rates from a prototype of the same scene (docs/decisions.md); nothing was tuned on this run's data. */
const demoSettings = (seed: number, effort: number): TrainSettings => ({
  seed,
  rank: 32,
  batchSize: 16,
  learningRate: 3e-3,
  steps: {
    vehicle: Math.round(250 * effort),
    weather: Math.round(100 * effort),
    road: Math.round(250 * effort),
    strategy: Math.round(250 * effort),
  },
});
const jointLearningRate = 1e-3;

/** Runs the demo and prints what it does. */
export async function runDemo(
  { out, seed, effort, compare, resume }: DemoOptions,
  { progress, clock, program, signal }: CommandContext,
): Promise<void> {
  const started = clock();
  const seconds: Record<string, number> = {};
  const stage = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const from = clock();
    const result = await work();
    seconds[name] = Math.round(10 * (clock() - from)) / 10;
    return result;
  };
  const { scenarioFile, modelDirectory } = embedded();
  const settings = demoSettings(seed, effort);

  progress.print('ContextLoRA: one small vision-language model learns four tasks that build on each other');
  progress.print();
  const { file, graph } = await readTaskFile(scenarioFile);
  progress.print(`1  Tasks: ${file.name ?? ''}`);
  for (const { id, instruction, answer } of file.tasks)
    progress.print(
      `     ${id.padEnd(9)} "${instruction}" → ${answer.type === 'label' ? answer.labels.join(' | ') : answer.type}`,
    );
  progress.print();
  progress.print('2  Task dependency graph');
  for (const line of toText(graph).split('\n')) progress.print(`     ${line}`);
  progress.print();

  const kernels = await openKernels();
  const base = await stage('loadModel', () => loadModel(modelDirectory, { kernels }));
  progress.print(
    `3  Base model: ${base.spec.architecture}, ${(base.parameterCount / 1e6).toFixed(2)} M parameters, ` +
      `${base.spec.text.layerCount} layers, ${base.spec.vision?.tokenCount ?? 0} image tokens; ${kernels.backend} kernels`,
  );
  await prepareOutput(out, { keep: resume });
  const dataDirectory = join(out, 'scenes');
  await stage('renderScenes', () =>
    renderScenes(dataDirectory, { seed, effort }, { progress, clock, signal }),
  );
  const data = await readTaskData(scenarioFile, { dataDirectory });

  const probes = new Map<string, Readonly<Record<string, number>>>();
  let baselineShare = 0;
  const jointDirectory = join(out, 'baselines', 'joint');
  const baselines = compare
    ? startBaselines(
        {
          taskFile: scenarioFile,
          dataDirectory,
          modelDirectory,
          outputDirectory: jointDirectory,
          settings,
          jointLearningRate,
        },
        {
          command: program,
          onMessage(message) {
            if (message.type === 'progress') baselineShare = message.done / message.total;
            if (message.type === 'probe') probes.set(message.task, message.accuracies);
          },
        },
      )
    : undefined;
  const stopBaselines = () => baselines?.stop();
  signal.addEventListener('abort', stopBaselines);

  try {
    const run = planContextRun(base, data, { settings });
    await stage('imageFeatures', () => warmFeatures(run.model, data, { progress, clock, signal }));
    const onBase = new Map<string, TaskEvaluation>();
    for (const { id } of file.tasks) onBase.set(id, await evaluateOnBase(run.model, data, id));

    progress.print();
    progress.print(
      `4  Training: ${run.phases.length} phases, rank ${settings.rank} in ${Object.keys(run.partition.layers).length} layers, ` +
        `${trainedParameters(run.model).toLocaleString('en')} parameters in ${file.tasks.length} segments` +
        (compare ? '; the joint baseline trains beside it' : ''),
    );
    const predicted = await predictTraining(base, run, { settings, clock });
    progress.print(
      `   Predicted by the cost model, from a decoder layer measured just now: ${predicted.seconds.toFixed(0)} s of steps`,
    );
    const checkpoints = fileCheckpoints(join(out, 'checkpoints'));
    const metrics = openMetricsFile(join(out, 'metrics.jsonl'));
    const record = await stage('train', () =>
      showTraining(
        untilStopped(
          trainContextRun(run, { settings, checkpoints, fingerprint: JSON.stringify(settings) }),
          signal,
        ),
        {
          progress,
          clock,
          metrics,
          phaseCount: run.phases.length,
          aside: () => (compare ? `  (joint ${Math.round(100 * baselineShare)} %)` : ''),
        },
      ),
    );
    const prediction = {
      predictedSeconds: predicted.seconds,
      measuredSeconds: record.stepSeconds,
      error: predicted.seconds / record.stepSeconds - 1,
      settled: predicted.settled,
    };
    if (!resume)
      progress.print(
        `   Steps took ${prediction.measuredSeconds.toFixed(1)} s (measured); the prediction was ${signedPercent(prediction.error)} off`,
      );
    const empty = compare
      ? await stage('trainEmptyGraph', () =>
          trainBeside(base, data, { settings, features: run.model.features }, { progress, clock, signal }),
        )
      : undefined;
    if (baselines) {
      const waiting = setInterval(() => {
        progress.update(`  joint baseline ${bar(baselineShare, 1)} ${Math.round(100 * baselineShare)} %`);
      }, 200);
      try {
        await stage('waitForJoint', () => baselines.finished);
      } finally {
        clearInterval(waiting);
      }
    }

    const order = run.phases.flatMap(({ tasks }) => tasks);
    const results = taskResults(data, order, { base: onBase, trained: record.evaluations, probes });
    const report: RunReport = {
      name: file.name ?? 'demo',
      seed,
      settings: { ...settings, jointLearningRate },
      base: { directory: 'embedded', parameters: base.parameterCount, backend: kernels.backend },
      ...results,
      ...(empty
        ? {
            decision: {
              task: decision,
              methods: await compareDecisions({
                decision,
                base,
                data,
                settings,
                run: run.model,
                record: record.evaluations,
                empty,
                jointDirectory,
              }),
            },
          }
        : {}),
      certificates: record.certificates,
      ...(resume ? {} : { prediction }),
      seconds,
    };
    progress.print();
    progress.print('5  Accuracy on held-out scenes (unseen-style: drawings of a kind never trained on)');
    for (const line of taskTable(report)) progress.print(`     ${line}`);
    if (report.decision) {
      progress.print();
      progress.print(
        `   The decision (${data.rows[decision]?.train.length ?? 0} labelled scenes) by method: same base, data, prompts (parents' answers included), ranks and passes`,
      );
      for (const line of decisionTable(report.decision)) progress.print(`     ${line}`);
    }

    progress.print();
    await showQuestion(run.model, data, { out, print: progress.print });

    progress.print();
    const planned = await stage('planBoards', () => planBoards(graph, { out, print: progress.print }));

    const written = await writeRun(out, {
      graph,
      partition: run.partition,
      segments: run.model.segments(),
      report: { ...report, seconds: { ...seconds, total: Math.round(clock() - started) } },
      losses: record.losses,
    });
    progress.print();
    progress.print(`8  Written to ${out}/`);
    for (const [name, what] of [
      ['scenes/', 'the pictures and their labels'] as const,
      ...written,
      ['question.json', 'the question and its answers'] as const,
      ...planned,
    ])
      progress.print(`     ${name.padEnd(20)} ${what}`);
    progress.print();
    progress.print(`Done in ${clockTime(clock() - started)}.`);
  } finally {
    signal.removeEventListener('abort', stopBaselines);
    baselines?.stop();
    base.dispose();
  }
}

const signedPercent = (share: number): string => `${share < 0 ? '−' : '+'}${percent(Math.abs(share))}`;

/** The scenario and the base model that come with the benchmarks package. */
function embedded(): { scenarioFile: string; modelDirectory: string } {
  const require = createRequire(import.meta.url);
  const root = dirname(require.resolve('@contextlora/benchmarks/package.json'));
  return {
    scenarioFile: join(root, 'scenarios/iov/tasks.yaml'),
    modelDirectory: join(root, 'models/iov-base'),
  };
}

type Shown = Pick<CommandContext, 'progress' | 'clock' | 'signal'>;

async function renderScenes(
  directory: string,
  { seed, effort }: { seed: number; effort: number },
  { progress, clock, signal }: Shown,
): Promise<void> {
  const complete = join(directory, 'complete.json');
  if (await stat(complete).catch(() => undefined)) {
    progress.print('   Scenes: those of the earlier run');
    return;
  }
  const counts: IovCounts = effort >= 1 ? defaultIovCounts : scaled(defaultIovCounts, effort);
  const from = clock();
  let total = 0;
  for await (const event of untilStopped(writeIovDataset(directory, { seed, counts }), signal)) {
    total = event.total;
    const left = ((clock() - from) / event.done) * (event.total - event.done);
    progress.update(
      `   rendering scenes ${bar(event.done, event.total)} ${event.done}/${event.total}  ${clockTime(left)} left`,
    );
  }
  await writeWhole(complete, `${JSON.stringify({ seed, counts }, null, 2)}\n`);
  progress.print(
    `   Scenes: ${total.toLocaleString('en')} rendered in ${(clock() - from).toFixed(1)} s, 64 × 64 RGB`,
  );
}

function scaled(counts: IovCounts, factor: number): IovCounts {
  const of = (split: IovCounts['train']) =>
    Object.fromEntries(
      Object.entries(split).map(([task, count]) => [task, Math.max(30, Math.round(count * factor))]),
    );
  return Object.fromEntries(
    Object.entries(counts).map(([split, of_]) => [split, of(of_)]),
  ) as unknown as IovCounts;
}

async function warmFeatures(
  model: LocalModel,
  data: TaskData,
  { progress, clock, signal }: Shown,
): Promise<void> {
  const from = clock();
  for await (const { done, total } of untilStopped(model.features.warm(imagesOf(data)), signal)) {
    const left = ((clock() - from) / done) * (total - done);
    progress.update(`   looking at the scenes ${bar(done, total)} ${done}/${total}  ${clockTime(left)} left`);
  }
  progress.print(
    `   Image features: computed once, the vision tower is frozen, in ${(clock() - from).toFixed(1)} s`,
  );
}

/** Trains the empty-graph baseline in this process, with the features already at hand. */
async function trainBeside(
  base: LoadedModel,
  data: TaskData,
  options: { settings: TrainSettings; features: ImageFeatures },
  { progress, signal }: Shown,
): Promise<TrainedSegments> {
  const events = trainEmptyGraph(base, data, options);
  for (;;) {
    const next = await events.next();
    if (next.done) {
      progress.print('  baseline: the dependent tasks without their ancestors trained');
      return next.value;
    }
    if (next.value.type === 'step') {
      const { task, step, steps } = next.value;
      progress.update(
        `  baseline without ancestors: ${task} ${bar(step + 1, steps)} step ${step + 1}/${steps}`,
      );
    }
    if (signal.aborted) throw new Stopped();
  }
}

/** The base alone, every task asked with the parents' answers that the base itself gives. */
function evaluateOnBase(model: LocalModel, data: TaskData, task: string): Promise<TaskEvaluation> {
  const rows = data.rows[task]?.tests[mainTestOf(data, task)] ?? [];
  return evaluateTask(model, { graph: data.graph, task, rows, rolesOf: () => ({}) });
}

/**
 * The first scene of the decision's test set, which the model never saw, with the reasons the answer stands on; also as
 * question.json, so that another program can ask the same (tools/check-peft.py does).
 */
async function showQuestion(
  model: LocalModel,
  data: TaskData,
  { out, print }: { out: string; print: (line?: string) => void },
): Promise<void> {
  const [row] = data.rows[decision]?.tests[mainTestOf(data, decision)] ?? [];
  if (!row) return;
  const lines = await answerQuestion(model, data.graph, {
    task: decision,
    input: { text: row.text, ...(row.image === undefined ? {} : { image: row.image }) },
  });
  const image = row.image === undefined ? '' : relative(out, row.image);
  print(`6  A question about a scene it never saw: ${image}, "${row.text}"`);
  for (const { task, answer, labelLogProbabilities } of lines) {
    const right = task === decision ? row.answer : row.parents[task];
    const mark = answer === right ? 'right' : `wrong: ${right ?? '?'}`;
    const sure = labelLogProbabilities ? percent(Math.exp(Math.max(...labelLogProbabilities))) : '';
    print(`     ${task.padEnd(9)} ${answer.padEnd(11)} ${sure.padStart(7)}  (${mark})`);
  }
  await writeWhole(
    join(out, 'question.json'),
    `${JSON.stringify({ image, text: row.text, answers: lines }, null, 2)}\n`,
  );
}
