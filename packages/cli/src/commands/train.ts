/** `contextlora train`: the method on a user's own task file, data and model. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';

import { openKernels } from '@contextlora/kernels';
import { loadModel, locateModel } from '@contextlora/model';
import { fileCheckpoints } from '@contextlora/trainer';
import { toText } from '@contextlora/task-graph';

import { evaluateTask, type TaskEvaluation } from '../run/evaluate-task.js';
import { openMetricsFile } from '../run/metrics-file.js';
import { readTaskData } from '../run/read-task-data.js';
import { type RunReport, taskTable } from '../run/run-report.js';
import { showTraining } from '../run/show-training.js';
import { mainTestOf, taskResults } from '../run/task-results.js';
import { imagesOf, planContextRun, trainContextRun, type TrainSettings } from '../run/train-context.js';
import { writeRun } from '../run/write-run.js';
import { bar, clockTime } from '../terminal/progress.js';
import { type CommandContext, untilStopped } from './command-context.js';
import { prepareOutput } from './prepare-output.js';

export interface TrainCommandOptions extends TrainSettings {
  readonly taskFile: string;
  readonly model: string;
  readonly data?: string;
  readonly out: string;
  readonly resume: boolean;
  readonly threads: number;
}

/** Checks everything that can be checked, then trains, evaluates and writes. */
export async function runTrain(
  options: TrainCommandOptions,
  { progress, clock, signal, hubDirectory }: CommandContext,
): Promise<void> {
  const started = clock();
  const {
    taskFile,
    model: modelName,
    out,
    resume,
    threads,
    seed,
    rank,
    steps,
    batchSize,
    learningRate,
  } = options;
  const settings: TrainSettings = { seed, rank, steps, batchSize, learningRate };
  // All reading comes first: a mistake leaves nothing behind.
  const data = await readTaskData(
    taskFile,
    options.data === undefined ? {} : { dataDirectory: options.data },
  );
  const modelDirectory = await locateModel(modelName, { hubDirectory });
  const kernels = await openKernels({ threads });
  const base = await loadModel(modelDirectory, { kernels });
  const run = planContextRun(base, data, { settings });
  await prepareOutput(out, { keep: resume });

  for (const line of toText(data.graph).split('\n')) progress.print(`  ${line}`);
  progress.print(
    `  ${base.spec.architecture}, ${(base.parameterCount / 1e6).toFixed(2)} M parameters, ${kernels.backend} kernels`,
  );
  for await (const { done, total } of untilStopped(run.model.features.warm(imagesOf(data)), signal))
    progress.update(`  looking at the images ${bar(done, total)} ${done}/${total}`);
  const base_ = new Map<string, TaskEvaluation>();
  for (const { id } of data.file.tasks) {
    const rows = data.rows[id]?.tests[mainTestOf(data, id)] ?? [];
    if (rows.length > 0)
      base_.set(
        id,
        await evaluateTask(run.model, { graph: data.graph, task: id, rows, rolesOf: () => ({}) }),
      );
  }
  const fingerprint = createHash('sha256')
    .update(
      JSON.stringify([
        settings,
        data.file,
        modelDirectory,
        Object.values(data.rows).map(({ train }) => train.length),
      ]),
    )
    .digest('hex')
    .slice(0, 16);
  const checkpoints = fileCheckpoints(join(out, 'checkpoints'));
  const record = await showTraining(
    untilStopped(trainContextRun(run, { settings, checkpoints, fingerprint }), signal),
    {
      progress,
      clock,
      metrics: openMetricsFile(join(out, 'metrics.jsonl')),
      phaseCount: run.phases.length,
    },
  );
  const order = run.phases.flatMap(({ tasks }) => tasks);
  const report: RunReport = {
    name: data.file.name ?? taskFile,
    seed,
    settings: { ...settings },
    base: { directory: modelDirectory, parameters: base.parameterCount, backend: kernels.backend },
    ...taskResults(data, order, { base: base_, trained: record.evaluations, probes: new Map() }),
    certificates: record.certificates,
    seconds: { total: Math.round(clock() - started) },
  };
  progress.print();
  for (const line of taskTable(report)) progress.print(`  ${line}`);
  const written = await writeRun(out, {
    graph: data.graph,
    partition: run.partition,
    segments: run.model.segments(),
    report,
    losses: record.losses,
  });
  progress.print();
  for (const [name, what] of written) progress.print(`  ${join(out, name).padEnd(30)} ${what}`);
  progress.print(`Done in ${clockTime(clock() - started)}.`);
  base.dispose();
}
