/** `contextlora export`: what a run trained, in the forms that other programs load. */
import { lstat } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { openRun, type OpenedRun, requireTrained, type WrittenFile } from '@contextlora/finetune';
import { type AdapterModules, composeTask } from '@contextlora/lora';
import { ifThere, writePeftFolder, writeWhole } from '@contextlora/lora/files';
import { encodeGgufAdapter, mergeModel, readModelSpec } from '@contextlora/model';
import { Option } from 'commander';

import { CliError } from '../cli-error.js';
import { type CommandContext, resultOf } from '../command-context.js';
import type { CommandSetup } from '../command-setup.js';
import { helpExamples } from '../help-examples.js';
import { collect } from '../option-values.js';
import { listFiles } from '../terminal/list-files.js';
import { bar, clockTime } from '../terminal/progress.js';
import { locateRunModel } from './run-model.js';

interface ExportOptions {
  readonly format: 'peft' | 'merged' | 'gguf';
  readonly out: string;
  readonly task?: readonly string[];
  readonly base?: string;
  readonly dtype: 'f32' | 'stored';
  readonly model?: string;
}

export function addExportCommand({ program, context, run }: CommandSetup): void {
  program
    .command('export <run>')
    .description(
      'write what a run trained for other programs: PEFT adapters, merged models, or GGUF adapters',
    )
    .addOption(
      new Option(
        '--format <format>',
        'peft: adapter folder; merged: Hugging Face directory; gguf: adapter for llama.cpp',
      )
        .choices(['peft', 'merged', 'gguf'])
        .makeOptionMandatory(),
    )
    .requiredOption('--out <directory>', 'directory to write to; nothing in it is replaced')
    .option('--task <name>', 'only this task (repeatable; default: all that are trained)', collect)
    .option(
      '--base <name>',
      'with peft: name or path by which PEFT finds the base (default: as given to train)',
    )
    .addOption(
      new Option(
        '--dtype <type>',
        'with merged: float32, which loses nothing, or the type of the base, which rounds',
      )
        .choices(['f32', 'stored'])
        .default('f32'),
    )
    .option('--model <path>', 'where the model is now, if it has moved')
    .addHelpText(
      'after',
      helpExamples([
        ['contextlora export run --format peft --out adapters', 'a PEFT adapter per task'],
        ['contextlora export run --task road --format merged --out merged', 'a model that needs no adapter'],
        [
          'contextlora export run --task road --format gguf --out gguf',
          'llama-cli -m base.gguf --lora gguf/road.gguf',
        ],
      ]),
    )
    .action((directory: string, options: ExportOptions) => run(() => runExport(directory, options, context)));
}

async function runExport(directory: string, options: ExportOptions, context: CommandContext): Promise<void> {
  const { format, out, dtype } = options;
  const { progress } = context;
  const invalid = (what: string) => new CliError('CLI_OPTIONS_INVALID', 'export', what);
  if (options.base !== undefined && format !== 'peft')
    throw invalid(`--base is the name that a PEFT folder has of its base; --format ${format} has none`);
  if (dtype !== 'f32' && format !== 'merged')
    throw invalid(`--dtype is the type of merged weights; --format ${format} writes float32`);
  const run = await openRun(directory);
  const tasks = options.task ?? run.trainedTasks;
  for (const task of tasks) requireTrained(run, task);
  if (tasks.length === 0) throw invalid(`the run in ${directory} has trained no task yet`);
  const places = tasks.map((task) => ({ task, path: format === 'gguf' ? `${task}.gguf` : task }));
  for (const { path } of places)
    if (await ifThere(lstat(join(out, path))))
      throw invalid(`${join(out, path)} exists, and nothing is replaced; choose another --out, or remove it`);
  const untrained = run.partition.order.filter((task) => !run.trainedTasks.includes(task));
  if (options.task === undefined && untrained.length > 0)
    progress.print(
      `  not exported, because the run was stopped before it trained them: ${untrained.join(', ')}`,
    );
  const base = await locateRunModel(run, options, context);
  // What a format cannot hold is found before anything is written.
  const prepared: { readonly path: string; readonly write: () => Promise<string> }[] = [];
  for (const { task, path } of places) {
    const modules = composeTask(run.partition, run.segments, task);
    const target = { path: join(out, path), task, modules, run, base, options, context };
    prepared.push({ path: format === 'gguf' ? path : `${path}/`, write: await writers[format](target) });
  }
  const written: WrittenFile[] = [];
  for (const { path, write } of prepared) written.push({ path, content: await write() });
  for (const line of listFiles(written, { below: out })) progress.print(line);
  for (const line of remarksOn(run)) progress.print(line);
}

/** Settings of the run that no format has a place for. */
function remarksOn({ settings: { chatTemplate = false, baseFormat = 'f32' } }: OpenedRun): string[] {
  return [
    ...(chatTemplate ? ["Trained through the base's chat template: prompts need it."] : []),
    ...(baseFormat === 'f32' || baseFormat === 'stored'
      ? []
      : [`Trained on the base in ${baseFormat}: on other weights probabilities differ a little.`]),
  ];
}

interface Target {
  readonly path: string;
  readonly task: string;
  readonly modules: AdapterModules;
  readonly run: OpenedRun;
  /** Path of the base. */
  readonly base: string;
  readonly options: ExportOptions;
  readonly context: CommandContext;
}

/** Each prepares one task and returns what writes it and says, in words, what that is. */
const writers: Readonly<Record<ExportOptions['format'], (target: Target) => Promise<() => Promise<string>>>> =
  {
    peft({ path, modules, run, base, options }) {
      // A path that was relative to where the run was made means nothing elsewhere.
      const isPath = run.model.path === undefined || base === resolve(run.model.name);
      const name = options.base ?? (isPath ? base : run.model.name);
      return Promise.resolve(async () => {
        await writePeftFolder(path, modules, { baseModel: name, linears: Object.keys(run.partition.layers) });
        return `a PEFT adapter of ${name}`;
      });
    },
    merged({ path, task, modules, base, options, context }) {
      const { clock, progress } = context;
      return Promise.resolve(async () => {
        const started = clock();
        const merging = mergeModel(base, modules, path, { dtype: options.dtype });
        await resultOf(merging, context, ({ doneBytes, totalBytes }) => {
          const left = ((clock() - started) / doneBytes) * (totalBytes - doneBytes);
          progress.update(`  merging ${task} ${bar(doneBytes, totalBytes)}  ${clockTime(left)} left`);
        });
        return 'a model in the Hugging Face layout';
      });
    },
    async gguf({ path, modules, base }) {
      const bytes = encodeGgufAdapter(await readModelSpec(base), modules);
      return async () => {
        await writeWhole(path, bytes);
        return 'an adapter for llama.cpp, on the same base';
      };
    },
  };
