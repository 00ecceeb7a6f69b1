/** What the commands that change a run have in common: plan, show, ask, train in a folder of the run's directory, put in place. */
import { dirname } from 'node:path';

import {
  type ChangePlan,
  changeSettings,
  checkChange,
  describeInputs,
  openChangeDirectory,
  type OpenedRun,
  openRun,
  planChange,
  prepareChange,
  type PreparedRun,
  readDataOfTasks,
  readHistory,
  readTaskFile,
  requireTrained,
  rowLimitsOf,
  type RunVersion,
  totalSteps,
  trainedByChange,
  trainingExamples,
} from '@contextlora/finetune';
import { openKernels } from '@contextlora/kernels';
import type { LoadedModel } from '@contextlora/model';
import type { TaskFile } from '@contextlora/task-graph';
import { inputDifferences } from '@contextlora/trainer';
import { predictTraining } from '@contextlora/workloads';

import type { CommandContext } from '../command-context.js';
import { confirm } from '../terminal/confirm.js';
import { changeLines } from '../terminal/show-change.js';
import { changedSettingsOf, type ChangeOptions } from './change-options.js';
import { fitTrainingRows } from './fit-training-rows.js';
import { loadRunBase, locateRunModel } from './run-model.js';
import { showRowDigests } from './show-digests.js';
import { trainChange } from './train-change.js';

export interface ChangeRequest {
  /** Name of the command. */
  readonly command: string;
  /** Of the run. */
  readonly directory: string;
  readonly options: ChangeOptions;
  /** Tasks of the run that the command names. */
  readonly known?: readonly string[];
  /** Tasks that train again though nothing of them changed. */
  readonly asked?: readonly string[];
  /** The new task file if the options name none; the run's own by default. */
  readonly fileOf?: (file: TaskFile) => TaskFile;
  /** The tasks of the new file that settings among the options are for. */
  readonly namedOf?: (file: TaskFile, run: OpenedRun) => readonly string[];
  /** What of a plan is not for this command. */
  readonly problemsOf: (plan: ChangePlan) => readonly string[];
}

/** Changes a run as a command line asks. */
export async function changeCommand(request: ChangeRequest, context: CommandContext): Promise<void> {
  const { directory, options, known = [], asked = [] } = request;
  const { progress, signal, version } = context;
  const run = await openRun(directory);
  const named = [...new Set([...known, ...asked])];
  // A change that is complete may have removed them.
  for (const task of named) if (!options.resume || run.graph.hasNode(task)) requireTrained(run, task);
  const { file, dataDirectory } = await newTaskFile(run, request);
  const settingsFor = (counts: Readonly<Record<string, number>>) =>
    changeSettings(run.settings, {
      partition: run.partition,
      tasks: file.tasks.map(({ id }) => id),
      given: changedSettingsOf(options),
      named: request.namedOf?.(file, run) ?? [],
      rows: counts,
    });
  // Epochs mean nothing before the rows are read, and steps nothing to reading them.
  const childData = settingsFor({});
  const { parentAnswers } = childData;
  const read = await readDataOfTasks(file, {
    dataDirectory,
    path: options.tasks ?? directory,
    ...(parentAnswers === undefined ? {} : { parentAnswers }),
  });
  // From here on nobody else changes the run; a dry run leaves no trace, not even a lock.
  await using change = options.dryRun
    ? undefined
    : await openChangeDirectory(directory, { of: run.inputs, resume: options.resume, force: options.force });
  const kernels = await openKernels({ threads: options.threads });
  const path = await locateRunModel(run, options, context);
  const base = await loadRunBase(run, { path, kernels });
  try {
    const rowLimits = { ...run.rowLimits, ...rowLimitsOf(options) };
    const { data, changes: longRows } = await fitTrainingRows(
      base,
      read,
      { ...childData, ...rowLimits },
      { progress, signal },
    );
    const rows = await showRowDigests(data, context);
    const counts = Object.entries(data.rows).map(([task, { train }]) => [task, train.length] as const);
    const settings = settingsFor(Object.fromEntries(counts));
    const others = { 'the kernels': kernels.backend, 'the version of contextlora': version };
    const after: RunVersion = {
      file,
      settings,
      inputs: { ...describeInputs({ settings, file, model: run.model.digests, others }), ...rows },
    };
    if (options.resume && change?.isBegun === false && (await isDone(run, after, request))) {
      progress.print(`  This change of ${directory} is complete, and nothing is left to do.`);
      return;
    }
    for (const task of named) requireTrained(run, task);
    const plan = planChange(run, after, { asked });
    checkChange(run, after, { plan, problems: request.problemsOf(plan) });
    const prepared = prepareChange(base, data, { run, plan, settings: after.settings, rowsFit: true });
    await showPlan(base, prepared, { plan, after }, context);
    if (!change) return;
    if (!options.yes && !options.resume && !(await confirm('Begin?', context))) {
      progress.print('  Nothing is changed.');
      return;
    }
    await trainChange(
      {
        run,
        change,
        plan,
        after,
        prepared,
        base,
        longRows,
        rowLimits,
        ...(options.saveEverySteps === undefined ? {} : { saveEverySteps: options.saveEverySteps }),
        command: request.command,
        model: { ...run.model, path },
        dataDirectory,
      },
      context,
    );
  } finally {
    base.dispose();
  }
}

/** Whether the last change of the run was this one: its process may have been stopped when it was complete. */
async function isDone(
  { directory, inputs }: OpenedRun,
  after: RunVersion,
  { command, known = [], asked = [] }: ChangeRequest,
): Promise<boolean> {
  const last = (await readHistory(directory)).at(-1);
  if (last?.command !== command || inputDifferences(inputs, after.inputs).length > 0) return false;
  const { removed, retrained } = last.plan;
  const trained = new Set(retrained.map(({ task }) => task));
  return known.every((task) => removed.includes(task)) && asked.every((task) => trained.has(task));
}

/** The new task file, and where its data are. */
async function newTaskFile(
  run: OpenedRun,
  { options: { tasks, data }, fileOf = (file) => file }: ChangeRequest,
): Promise<{ file: TaskFile; dataDirectory: string }> {
  if (tasks === undefined) return { file: fileOf(run.file), dataDirectory: data ?? run.dataDirectory };
  return { file: (await readTaskFile(tasks)).file, dataDirectory: data ?? dirname(tasks) };
}

async function showPlan(
  base: LoadedModel,
  prepared: PreparedRun,
  { plan, after: { settings } }: { readonly plan: ChangePlan; readonly after: RunVersion },
  { progress, clock }: CommandContext,
): Promise<void> {
  const { graph, rows } = prepared.data;
  const trained = trainedByChange(plan, graph);
  const stepsOf = (task: string) => totalSteps(settings, [task]);
  const examplesOf = (task: string, count: number) =>
    trainingExamples(graph.getNodeAttributes(task), [...(rows[task]?.train ?? [])].slice(0, count));
  const secondsByTask =
    trained.length === 0
      ? {}
      : (
          await predictTraining(base, prepared, {
            examplesOf,
            stepsOf,
            batchSize: settings.batchSize,
            rank: totalRank(prepared),
            clock,
            budgetSeconds: 1,
          })
        ).secondsByTask;
  progress.print();
  for (const line of changeLines(plan, { trained, stepsOf, secondsByTask }))
    progress.print(`  ${line}`.trimEnd());
  progress.print();
}

/** Ranks per linear, over all tasks. */
const totalRank = ({ partition: { layers } }: PreparedRun) =>
  Math.max(
    ...Object.values(layers).map(({ spans }) => Math.max(...Object.values(spans).map(({ end }) => end))),
  );
