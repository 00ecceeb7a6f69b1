#!/usr/bin/env node
/** The `contextlora` command: the only file that knows arguments, streams, signals and exit codes. */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

import { describeBackends } from '@contextlora/kernels';
import { Command, InvalidArgumentError, Option } from 'commander';

import { baselineCommand, type BaselineJob, runBaselines } from './commands/baseline-process.js';
import { type ChatOptions, runChat } from './commands/chat.js';
import { type CommandContext, Stopped } from './commands/command-context.js';
import { runDemo } from './commands/demo.js';
import { type PlanCommandOptions, runPlan } from './commands/plan.js';
import type { ProfileOptions } from './commands/profile-options.js';
import { runProfile } from './commands/profile.js';
import { type GraphFormat, graphFormats, showGraph } from './commands/show-graph.js';
import { runTrain } from './commands/train.js';
import { createProgress } from './terminal/progress.js';
import { hubDirectoryOf } from './hub-directory.js';
import { isUserError } from './user-error.js';

const userMistake = 2;
const interrupted = 130;

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
const clock = () => performance.now() / 1000;
const stop = new AbortController();
let takenOver: (() => void) | undefined;
process.on('SIGINT', () => {
  if (takenOver) {
    takenOver();
    return;
  }
  // A second Ctrl-C does not wait for the step to end.
  if (stop.signal.aborted) process.exit(interrupted);
  stop.abort();
});
const context: CommandContext = {
  progress: createProgress(process.stdout, { clock }),
  clock,
  cpuSeconds() {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  },
  program: process.argv[1] ?? '',
  signal: stop.signal,
  onInterrupt(handler) {
    takenOver = handler;
    return () => {
      takenOver = undefined;
    };
  },
  input: process.stdin,
  output: process.stdout,
  now: () => new Date(),
  hubDirectory: hubDirectoryOf(process.env),
};

const command = new Command('contextlora')
  .description('One language model for many interdependent multimodal tasks')
  .version(version)
  .showHelpAfterError()
  .exitOverride((error) => {
    process.exit(error.exitCode === 0 ? 0 : userMistake);
  });

command
  .command('demo')
  .description('train the embedded model on four driving tasks and look at the result')
  .option('--out <directory>', 'where results go', 'demo-output')
  .option('--seed <n>', 'of scenes, adapters and batches', naturalNumber, 0)
  .option('--effort <share>', 'less than 1 for a quick look: fewer scenes and steps', positiveNumber, 1)
  .option('--no-compare', 'leave the baselines out')
  .option('--resume', 'keep the scenes of an earlier run', false)
  .action((options: { out: string; seed: number; effort: number; compare: boolean; resume: boolean }) =>
    runDemo(options, context),
  );

command
  .command('train <tasks.yaml>')
  .description('train one segment per task of a task file, in the order of their dependencies')
  .requiredOption('--model <path>', 'a model directory, a GGUF file, or a name in the Hugging Face cache')
  .option('--data <directory>', 'where the data files lie; by default beside the task file')
  .option('--out <directory>', 'where results go', 'contextlora-output')
  .option('--rank <n>', 'ranks per layer, shared by all tasks', naturalNumber, 32)
  .option('--steps <n>', 'optimizer steps per task', naturalNumber, 250)
  .option('--batch-size <n>', 'examples per step', naturalNumber, 16)
  .option('--learning-rate <rate>', 'its peak', positiveNumber, 3e-3)
  .option('--seed <n>', 'of adapters and batches', naturalNumber, 0)
  .option('--threads <n>', 'of one native operation', naturalNumber, 1)
  .option('--resume', 'go on where an earlier run into the same directory stopped', false)
  .action((taskFile: string, options: Omit<Parameters<typeof runTrain>[0], 'taskFile'>) =>
    runTrain({ taskFile, ...options }, context),
  );

command
  .command('plan <tasks.yaml>')
  .description(
    'plan the training of a task file on unequal devices: what runs where, how long, and why (simulated)',
  )
  .requiredOption(
    '--model <directory|name>',
    'a model directory, or smollm2-135m, qwen2.5-0.5b, llama-3.2-1b',
  )
  .requiredOption(
    '--cluster <file>',
    'devices and links as JSON; may come again, for what each machine wrote',
    collect,
  )
  .option('--rank <n>', 'ranks per layer, shared by all tasks', naturalNumber, 32)
  .option('--samples <n>', 'samples of one optimizer step', naturalNumber, 16)
  .option('--tokens <n>', 'tokens of a sample', naturalNumber, 128)
  .option('--answered <n>', 'tokens of a sample that the loss scores', naturalNumber, 16)
  .option('--steps <n>', 'optimizer steps per task', naturalNumber, 250)
  .option('--epochs <n>', 'how often each sample is seen', naturalNumber, 1)
  .addOption(
    new Option('--base <format>', 'what the frozen weights are kept as')
      .choices(['f32', 'f16', 'int8', 'q8_0', 'q4_0', 'q4_1'])
      .default('f32'),
  )
  .option('--frozen-prefix', 'deeper tasks train upper layers only, the rest is frozen', false)
  .addOption(new Option('--objective <what>', 'what to minimise').choices(['time', 'energy']).default('time'))
  .option('--joules <n>', 'most energy of all devices together', positiveNumber)
  .option('--what-if <changes>', 'plan again after changes, as in "drop orin-2, wifi=50Mbit"')
  .option('--json <file>', 'write workloads, cluster and plan')
  .option('--svg <file>', 'write the Gantt chart of the longest wave')
  .option('--front <file>', 'also plan for energy and between, and write time against energy as an SVG')
  .option('--trace <file>', 'write it as Trace Event JSON, for Perfetto')
  .action((taskFile: string, options: Omit<PlanCommandOptions, 'taskFile'>) =>
    runPlan({ taskFile, ...options }, context),
  );

command
  .command('profile')
  .description('load, memory, power, heat and clocks of this machine, or what is published of a Jetson board')
  .option('--count <n>', 'samples; 0 goes on until Ctrl-C', naturalNumber, 1)
  .option('--interval <seconds>', 'between samples', positiveNumber, 1)
  .option('--json', 'a JSON object a line', false)
  .option('--board <name>', 'print the published figures of a board, each with its source')
  .option('--cluster <names>', 'print published boards as devices for "plan", as in nano,orin-nx-16')
  .option('--mbit <n>', 'with --cluster: Mbit/s of the network', positiveNumber, 100)
  .option('--switched', 'with --cluster: a switch, not one Wi-Fi channel for all', false)
  .addOption(
    new Option('--source <what>', 'where samples come from')
      .choices(['files', 'tegrastats'])
      .default('files'),
  )
  .option('--measure <model>', "measure the rates of a layer of this model, as a cluster's flopsPerSecond")
  .option('--tokens <n>', 'with --measure: tokens of a pass', positiveWhole, 128)
  .option(
    '--batch <n>',
    'with --measure: samples of a pass; give those of the micro-batches you train',
    positiveWhole,
    1,
  )
  .option('--rank <n>', 'with --measure: ranks of what trains', positiveWhole, 8)
  .option('--budget <seconds>', 'of each measurement: most time it takes', positiveNumber, 10)
  .option(
    '--sustained <seconds>',
    'with --measure: run the layer so long, and say what of its rate lasts',
    positiveNumber,
  )
  .option('--threads <n>', 'with --measure: of one native operation', naturalNumber, 1)
  .option('--listen [port]', 'be the other end of link measurements until Ctrl-C, on [HOST:]PORT')
  .option('--link <host>', 'measure the link to a listening machine, HOST[:PORT]; may come again', collect)
  .option('--medium <name>', 'with --link: what the channel is called that links share', 'wifi')
  .option(
    '--id <name>',
    'what this machine is called in clusters',
    hostname()
      .replace(/[^\w.-]/g, '-')
      .slice(0, 64),
  )
  .option('--out <file>', 'with --measure or --link: put it into this cluster file, for "plan"')
  .option('--root <directory>', 'where the files of the machine are', '/')
  .action(async (options: ProfileOptions) => {
    if (await runProfile(options, context)) process.exitCode = interrupted;
  });

command
  .command('chat')
  .description('talk to a model on a terminal, or answer one prompt')
  .requiredOption('--model <path>', 'a model directory, a GGUF file, or a name in the Hugging Face cache')
  .option('--adapter <directory>', 'a PEFT folder, or the folder of a run')
  .option('--task <name>', 'whose adapter of the run')
  .option('--system <text>', 'what the model is told first')
  .option(
    '--prompt <text>',
    'answer this and end; without it and without a terminal, the input is the prompt',
  )
  .option('--plain', 'no chat template: the model goes on with the prompt as it is', false)
  .option('--schema <file>', 'a JSON schema that the answer must meet')
  .option('--temperature <t>', '0 takes the likeliest token', nonNegativeNumber, 0)
  .option('--top-k <n>', 'draw from this many likeliest tokens', naturalNumber)
  .option('--top-p <p>', 'draw from the likeliest tokens with this probability together', positiveNumber)
  .option('--repetition-penalty <p>', 'above 1 repeats less', positiveNumber)
  .option('--seed <n>', 'of what is drawn', naturalNumber, 0)
  .option('--max-tokens <n>', 'of an answer', naturalNumber, 256)
  .option('--threads <n>', 'of one native operation', naturalNumber, 1)
  .action(async (options: ChatOptions) => {
    if (await runChat(options, context)) process.exitCode = interrupted;
  });

command
  .command('graph <tasks.yaml>')
  .description('print the dependency graph of a task file')
  .addOption(new Option('--format <form>', 'how').choices(Object.keys(graphFormats)).default('text'))
  .action(async (taskFile: string, { format }: { format: GraphFormat }) => {
    process.stdout.write(`${await showGraph(taskFile, format)}\n`);
  });

command
  .command('doctor')
  .description('say which kernels this machine has')
  .action(async () => {
    for (const { backend, available, detail } of await describeBackends())
      process.stdout.write(`${available ? 'yes' : 'no '}  ${backend.padEnd(10)} ${detail}\n`);
    process.stdout.write(`     node ${process.version}, ${process.platform}-${process.arch}\n`);
  });

command.command(`${baselineCommand} <job>`, { hidden: true }).action(async (job: string) => {
  // Leaving before a message is out would lose it.
  await runBaselines(
    JSON.parse(job) as BaselineJob,
    (message) =>
      new Promise((sent) =>
        process.send?.(message, undefined, {}, () => {
          sent();
        }),
      ),
  );
  process.disconnect();
});

try {
  await command.parseAsync();
} catch (error) {
  context.progress.print();
  if (error instanceof Stopped) {
    process.stderr.write(
      'Stopped. What was finished is kept; the same command with --resume goes on from there.\n',
    );
    process.exitCode = interrupted;
  } else if (isUserError(error)) {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = userMistake;
  } else {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exitCode = 1;
  }
}

/** Values of an option that may come again. */
function collect(text: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, text];
}

function naturalNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0)
    throw new InvalidArgumentError('must be a whole number, 0 or more');
  return value;
}

function positiveWhole(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError('must be a whole number, 1 or more');
  return value;
}

function nonNegativeNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0 && Number.isFinite(value)))
    throw new InvalidArgumentError('must be a number, 0 or more');
  return value;
}

function positiveNumber(text: string): number {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value))) throw new InvalidArgumentError('must be a number above 0');
  return value;
}
