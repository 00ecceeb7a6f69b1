/** `contextlora eval`: how well a trained run answers test sets, its own or new ones. */
import {
  evaluateSets,
  type EvaluationProgress,
  type LongRows,
  openRun,
  type OpenedRun,
  readTestSets,
  requireTrained,
  rowLimitsOf,
  type SetEvaluation,
  type TaskData,
} from '@contextlora/finetune';
import { writeWhole } from '@contextlora/lora/files';
import type { AnswerMode } from '@contextlora/trainer';
import { Option } from 'commander';

import { CliError } from '../cli-error.js';
import { type CommandContext, resultOf } from '../command-context.js';
import type { CommandSetup } from '../command-setup.js';
import { helpExamples } from '../help-examples.js';
import { collect, naturalNumber } from '../option-values.js';
import { confusionTables, evaluationTable } from '../terminal/evaluation-tables.js';
import { bar, clockTime } from '../terminal/progress.js';
import { answersOption } from './ask.js';
import { fitTrainingRows } from './fit-training-rows.js';
import { loadRunModel } from './run-model.js';
import { showRowDigests } from './show-digests.js';
import { warmFeatures } from './warm-features.js';

interface EvalOptions {
  readonly task?: readonly string[];
  readonly data?: string;
  readonly file?: readonly string[];
  readonly longRows?: LongRows;
  readonly answers: AnswerMode;
  readonly json?: string;
  readonly model?: string;
  readonly threads: number;
}

export function addEvalCommand({ program, context, run }: CommandSetup): void {
  program
    .command('eval <run>')
    .description('measure how well a trained run answers its test sets, or new files')
    .option('--task <name>', 'only this task (repeatable)', collect)
    .option(
      '--data <directory>',
      'directory of the test sets that the task file names (default: that of the run)',
    )
    .option('--file <task=file>', 'a file in place of the test sets of a task (repeatable)', collect)
    .addOption(
      new Option(
        '--long-rows <choice>',
        'rows that are too long for the run: refuse, or truncate their text (default: as the run was trained)',
      ).choices(['refuse', 'truncate']),
    )
    .addOption(answersOption())
    .option('--json <file>', 'write all measures to a file')
    .option('--model <path>', 'where the model is now, if it has moved')
    .option('--threads <n>', 'threads per native operation', naturalNumber, 1)
    .addHelpText(
      'after',
      helpExamples([
        ['contextlora eval run', "all trained tasks, on the run's own test sets"],
        ['contextlora eval run --file road=november.jsonl --json november.json', 'one task on new rows'],
      ]),
    )
    .action((directory: string, options: EvalOptions) => run(() => runEval(directory, options, context)));
}

async function runEval(directory: string, options: EvalOptions, context: CommandContext): Promise<void> {
  const { progress, clock } = context;
  const run = await openRun(directory);
  const files = filesOf(options.file ?? []);
  const tasks = options.task ?? (options.file ? Object.keys(files) : run.trainedTasks);
  for (const task of [...tasks, ...Object.keys(files)]) requireTrained(run, task);
  if (tasks.length === 0)
    throw new CliError('CLI_OPTIONS_INVALID', 'eval', `the run in ${directory} has trained no task yet`);
  const read = await readTestSets(run, { tasks, dataDirectory: options.data ?? run.dataDirectory, files });
  for (const warning of options.data === undefined ? await changedSets(run, read, files, context) : [])
    progress.print(`  warning: ${warning}`);
  await using loaded = await loadRunModel(run, { ...options, sounds: read.sounds }, context);
  const { model, base } = loaded;
  const { data } = await fitTrainingRows(
    base,
    { ...read, sources: read.sources ?? {}, sounds: read.sounds ?? new Map(), warnings: [] },
    { ...run.rowLimits, ...rowLimitsOf(options) },
    context,
  );
  await warmFeatures(model.features, data, context);
  const started = clock();
  const show = ({ task, test, done, total }: EvaluationProgress) => {
    const left = ((clock() - started) / done) * (total - done);
    progress.update(`  ${task} on ${test} ${bar(done, total)} ${done}/${total}  ${clockTime(left)} left`);
  };
  const sets = await resultOf(evaluateSets(model, data, { answers: options.answers }), context, show);
  for (const line of evaluationTable(sets)) progress.print(line);
  for (const line of confusionTables(sets, run.graph)) progress.print(line);
  if (options.json !== undefined) {
    await writeWhole(options.json, `${JSON.stringify(reportOf(run, sets, options), null, 2)}\n`);
    progress.print();
    progress.print(`Written to ${options.json}.`);
  }
}

const reportOf = (
  { inputs, graph }: OpenedRun,
  sets: readonly SetEvaluation[],
  { answers }: EvalOptions,
) => ({
  answers,
  inputs,
  labels: Object.fromEntries(
    graph.mapNodes((id, { answer }) => [id, answer.type === 'label' ? answer.labels : null] as const),
  ),
  sets,
});

function filesOf(pairs: readonly string[]): Record<string, string[]> {
  const files: Record<string, string[]> = {};
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    if (at < 1) throw new CliError('CLI_OPTIONS_INVALID', 'eval', `--file ${pair} is not TASK=FILE`);
    (files[pair.slice(0, at)] ??= []).push(pair.slice(at + 1));
  }
  return files;
}

/** The run's own test sets that have other rows now. */
async function changedSets(
  { inputs }: OpenedRun,
  data: TaskData,
  files: Readonly<Record<string, unknown>>,
  context: CommandContext,
): Promise<string[]> {
  const own = {
    ...data,
    rows: Object.fromEntries(Object.entries(data.rows).filter(([id]) => !(id in files))),
  };
  const digests = await showRowDigests(own, context);
  return Object.entries(digests).flatMap(([name, digest]) =>
    inputs[name] === undefined || inputs[name] === digest
      ? []
      : [`${name} have changed since the run was made`],
  );
}
