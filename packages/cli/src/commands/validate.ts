/** `contextlora validate`: everything that training would check before it starts. */
import {
  checkTrainConfig,
  prepareRun,
  type ReadTaskData,
  readTaskData,
  settingsOf,
  type TrainConfig,
  type TaskSplits,
} from '@contextlora/finetune';
import { openKernels } from '@contextlora/kernels';
import { loadModel, withChatPrompts } from '@contextlora/model';
import type { TaskSpec } from '@contextlora/task-graph';
import type { TaskRow } from '@contextlora/trainer';

import type { CommandContext } from '../command-context.js';
import type { CommandSetup } from '../command-setup.js';
import { helpExamples } from '../help-examples.js';
import { formatTable } from '../terminal/table.js';
import { fitTrainingRows } from './fit-training-rows.js';
import { locateGivenModel } from './given-model.js';
import { addSettingOptions, configOfOptions, type SettingOptions } from './setting-options.js';

interface ValidateOptions extends SettingOptions {
  readonly model?: string;
  readonly data?: string;
  readonly json: boolean;
}

export function addValidateCommand({ program, context, run }: CommandSetup): void {
  const command = program
    .command('validate <tasks.yaml>')
    .description('check a task file, its data, and the settings of a run, as training would before it starts')
    .option('--model <path>', 'also check whether the rows and settings fit this model')
    .option('--data <directory>', 'directory of the data files (default: the directory of the task file)')
    .option('--json', 'print what was found as JSON', false);
  addSettingOptions(command);
  command
    .addHelpText(
      'after',
      helpExamples([
        ['contextlora validate tasks.yaml', 'the task file and its data'],
        [
          'contextlora validate tasks.yaml --model ./SmolVLM-256M-Instruct --config train.yaml',
          'also whether the rows fit the model, and the settings',
        ],
      ]),
    )
    .action((taskFile: string, options: ValidateOptions) =>
      run(() => runValidate(taskFile, options, context)),
    );
}

async function runValidate(
  taskFile: string,
  options: ValidateOptions,
  context: CommandContext,
): Promise<void> {
  const { progress, output } = context;
  const config = await configOfOptions(options);
  const data = await readTaskData(taskFile, {
    ...(options.data === undefined ? {} : { dataDirectory: options.data }),
    ...(config.parentAnswers === undefined ? {} : { parentAnswers: config.parentAnswers }),
  });
  checkTrainConfig(config, { tasks: data.file.tasks });
  const found = {
    name: data.file.name ?? taskFile,
    tasks: data.file.tasks.map((task) => describeTask(task, data.rows[task.id])),
    warnings: data.warnings,
  };
  // Only the result is printed as JSON.
  const shown = options.json ? { ...context, progress: silent } : context;
  if (options.model !== undefined) await checkOnModel(options.model, { data, config, context: shown });
  if (options.json) {
    output.write(`${JSON.stringify(found, null, 2)}\n`);
    return;
  }
  const rows = found.tasks.map(({ id, dependsOn, inputs, answer, train, validation, tests }) => [
    id,
    dependsOn.join(', '),
    inputs.join(', '),
    answer,
    String(train.rows),
    String(validation.rows),
    Object.entries(tests)
      .map(([name, { rows: count }]) => `${name} ${count}`)
      .join(', '),
  ]);
  const header = ['task', 'depends on', 'inputs', 'answer', 'training rows', 'validation', 'test sets'];
  for (const line of formatTable(header, rows)) progress.print(`  ${line}`);
  if (options.model === undefined)
    for (const warning of found.warnings) progress.print(`  warning: ${warning}`);
  progress.print();
  progress.print(`${found.name}: ${found.tasks.length} tasks can be trained.`);
}

const silent = { update: () => undefined, print: () => undefined };

function describeTask({ id, dependsOn, inputs, answer }: TaskSpec, splits: TaskSplits | undefined) {
  const of = (rows: Iterable<TaskRow> = []) => countRows(rows, answer.type === 'label' ? answer.labels : []);
  return {
    id,
    dependsOn,
    inputs,
    answer: answer.type === 'label' ? `${answer.labels.length} labels` : answer.type,
    train: of(splits?.train),
    validation: of(splits?.validation),
    tests: Object.fromEntries(Object.entries(splits?.tests ?? {}).map(([name, rows]) => [name, of(rows)])),
  };
}

/** How many rows there are, and how many of them have each label. */
function countRows(rows: Iterable<TaskRow>, labels: readonly string[]) {
  const counts = new Map(labels.map((label) => [label, 0]));
  let total = 0;
  for (const { answer } of rows) {
    total += 1;
    if (counts.has(answer)) counts.set(answer, counts.get(answer)! + 1);
  }
  return { rows: total, ...(labels.length > 0 ? { labels: Object.fromEntries(counts) } : {}) };
}

/** Whether every row fits the model, and the settings do. */
async function checkOnModel(
  name: string,
  { data: read, config, context }: { data: ReadTaskData; config: TrainConfig; context: CommandContext },
): Promise<void> {
  const { threads = 1, baseFormat, chatTemplate = false } = config;
  const loaded = await loadModel(await locateGivenModel(name, context), {
    kernels: await openKernels({ threads }),
    ...(baseFormat === undefined ? {} : { base: baseFormat }),
  });
  try {
    const base = chatTemplate ? withChatPrompts(loaded) : loaded;
    const { data } = await fitTrainingRows(base, read, config, context);
    const rows = Object.fromEntries(
      Object.entries(data.rows).map(([task, { train }]) => [task, train.length]),
    );
    const settings = settingsOf(config, { rows });
    // What matters to each task is measured only for a run; it divides the same ranks.
    const { allocation = 'share' } = settings;
    const divided = { ...settings, allocation: allocation === 'importance' ? 'share' : allocation } as const;
    await prepareRun(base, data, { settings: divided, rowsFit: true }).model[Symbol.asyncDispose]();
  } finally {
    loaded.dispose();
  }
}
