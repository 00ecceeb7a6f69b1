/** Trains what a change of a run needs, and puts the changed run in place of the old one. */
import { join } from 'node:path';

import {
  carriedMetrics,
  certifyTasks,
  type ChangeDirectory,
  type ChangePlan,
  type LongRowChange,
  type OpenedRun,
  type PreparedRun,
  readMetrics,
  type RowLimits,
  type RunReport,
  type RunVersion,
  taskResults,
  trainRun,
  writeChange,
} from '@contextlora/finetune';
import { sha256 } from '@contextlora/lora/files';
import type { LoadedModel } from '@contextlora/model';
import { orderTasks } from '@contextlora/task-graph';
import { inputDifferences, planPhases } from '@contextlora/trainer';
import { fileCheckpoints } from '@contextlora/trainer/files';

import type { CommandContext } from '../command-context.js';
import { writeDrawings } from '../drawings/write-drawings.js';
import { listFiles } from '../terminal/list-files.js';
import { clockTime } from '../terminal/progress.js';
import { taskTable } from '../terminal/report-tables.js';
import { evaluateOnBase } from './evaluate-on-base.js';
import { followTraining } from './follow-training.js';
import { warmFeatures } from './warm-features.js';

export interface ChangeToTrain {
  readonly command: string;
  /** As it was. */
  readonly run: OpenedRun;
  readonly change: ChangeDirectory;
  readonly plan: ChangePlan;
  readonly after: RunVersion;
  readonly prepared: PreparedRun;
  readonly base: LoadedModel;
  readonly model: OpenedRun['model'];
  readonly dataDirectory: string;
  readonly longRows: readonly LongRowChange[];
  readonly rowLimits: RowLimits;
  readonly saveEverySteps?: number;
}

export async function trainChange(
  {
    command,
    run,
    change,
    plan,
    after,
    prepared,
    base,
    model,
    dataDirectory,
    longRows,
    rowLimits,
    saveEverySteps,
  }: ChangeToTrain,
  context: CommandContext,
): Promise<void> {
  const { progress, clock, now } = context;
  const started = clock();
  const { settings, inputs } = after;
  const { data, phases } = prepared;
  const { directory } = run;
  const fingerprint = {
    ...inputs,
    'the tasks that train': phases.flatMap(({ tasks }) => tasks).join(', '),
    'the segments that stay': sha256(JSON.stringify(certifyTasks(run.segments, plan.kept))),
  };
  const state = await change.begin(fingerprint);
  if (state === 'begun') progress.print(`  Going on with the change of ${directory} that was stopped.`);
  await warmFeatures(prepared.model.features, data, context);
  const onBase = await evaluateOnBase(prepared, context);
  // Ends the line of progress, so that the first step is shown also where lines are few.
  if (phases.length > 0) progress.print('  The base is evaluated; training begins.');
  const events = trainRun(prepared, {
    settings,
    checkpoints: fileCheckpoints(join(change.folder, 'checkpoints')),
    ...(saveEverySteps === undefined ? {} : { saveEverySteps }),
    carried: carriedMetrics(await readMetrics(directory), {
      kept: plan.kept,
      before: run.inputs,
      after: inputs,
    }),
    fingerprint,
  });
  const record = await followTraining(
    events,
    { directory: change.folder, phaseCount: phases.length },
    context,
  );
  const name = data.file.name ?? directory;
  const segments = prepared.model.segments();
  const report: RunReport = {
    name,
    seed: settings.seed,
    settings: { ...rowLimits, ...settings },
    inputs,
    base: {
      directory: model.path ?? model.name,
      parameters: base.parameterCount,
      backend: base.kernels.backend,
    },
    ...taskResults(data, orderTasks(data.graph), {
      base: onBase,
      trained: record.evaluations,
      probes: new Map(),
    }),
    ...(longRows.length > 0 ? { longRows } : {}),
    certificates: record.certificates,
    timing: { seconds: { total: Math.round(clock() - started) } },
  };
  progress.print();
  for (const line of taskTable(report)) progress.print(`  ${line}`);
  const written = await change.finish(inputs, async (into) => [
    ...(await writeChange(
      into,
      {
        partition: prepared.partition,
        segments,
        report,
        baseModel: model.name,
        description: {
          file: data.file,
          dataDirectory,
          model,
          settings,
          ...(Object.keys(rowLimits).length > 0 ? { rowLimits } : {}),
          inputs,
          partition: prepared.partition,
          phases: planPhases(data.graph),
        },
        change: {
          command,
          at: now().toISOString(),
          plan,
          inputs: inputDifferences(run.inputs, inputs),
          before: certifyTasks(run.segments),
          after: certifyTasks(segments),
        },
      },
      { directory },
    )),
    ...(await writeDrawings(into, {
      name,
      graph: data.graph,
      losses: record.losses,
      accuracies: record.accuracies,
    })),
  ]);
  progress.print();
  for (const line of listFiles(written, { below: directory })) progress.print(`  ${line}`);
  progress.print(`Done in ${clockTime(clock() - started)}.`);
}
