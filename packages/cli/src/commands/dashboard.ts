/** `contextlora dashboard`: a run as a page, live on loopback or as one file. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type Asked, type AnswerView, readRunView, renderPage, serveDashboard } from '@contextlora/dashboard';
import { openRun, questionProblems, requireTrained } from '@contextlora/finetune';
import { writeWhole } from '@contextlora/lora/files';

import { CliError } from '../cli-error.js';
import type { CommandContext } from '../command-context.js';
import type { CommandSetup } from '../command-setup.js';
import { helpExamples } from '../help-examples.js';
import { naturalNumber, portNumber } from '../option-values.js';
import { askRun } from './ask-run.js';

interface DashboardOptions {
  readonly plan?: string;
  readonly out?: string;
  readonly port: number;
  readonly model?: string;
  readonly threads: number;
}

export function addDashboardCommand({ program, context, run }: CommandSetup): void {
  program
    .command('dashboard <run>')
    .description(
      'show a run as a page: graph, partition, losses, certificates, plan; live on this machine, or as one file',
    )
    .option('--plan <file>', 'plan of "contextlora plan --json" (default: the one in the run)')
    .option('--out <file>', 'write the page as one HTML file that needs nothing else, and end')
    .option('--port <n>', 'port on 127.0.0.1; 0 for any that is free', portNumber, 0)
    .option('--model <path>', 'where the model is now, if it has moved')
    .option('--threads <n>', 'threads per native operation', naturalNumber, 1)
    .addHelpText(
      'after',
      helpExamples([
        ['contextlora dashboard run', 'watch a run while it trains, and ask it'],
        ['contextlora dashboard run --out run.html', 'one file to keep or to send'],
        ['contextlora dashboard run --plan plan.json', 'with a plan, to ask "what if?" of'],
      ]),
    )
    .action((directory: string, options: DashboardOptions) =>
      run(() => runDashboard(directory, options, context)),
    );
}

async function runDashboard(
  directory: string,
  options: DashboardOptions,
  context: CommandContext,
): Promise<unknown> {
  const { progress, signal } = context;
  const { plan: planFile, out, port } = options;
  const read = () => readRunView(directory, planFile === undefined ? {} : { planFile });
  if (out !== undefined) {
    await writeWhole(out, await renderPage(await read()));
    progress.print(`Wrote ${out}.`);
    return undefined;
  }
  await using served = await serveDashboard({
    directory,
    read,
    port,
    ask: oneByOne((asked) => answer(directory, asked, options, context)),
  });
  progress.print(`The page is at ${served.address} (Ctrl-C ends it).`);
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => {
      resolve();
    });
  });
  return 'interrupted';
}

/** Asks the tasks that are trained now: the model is loaded for each question, so that a run at work is asked as it stands. */
async function answer(
  directory: string,
  { image, ...asked }: Asked,
  options: Pick<DashboardOptions, 'model' | 'threads'>,
  context: CommandContext,
): Promise<readonly AnswerView[]> {
  const run = await openRun(directory);
  requireTrained(run, asked.task);
  const folder = await mkdtemp(join(tmpdir(), 'contextlora-dashboard-'));
  try {
    const path = join(folder, 'picture');
    if (image) await writeFile(path, image);
    const question = { ...asked, ...(image ? { image: path } : {}) };
    const problems = await questionProblems(run, question);
    if (problems.length > 0)
      throw new CliError(
        'CLI_OPTIONS_INVALID',
        'dashboard',
        problems.join('\n').replaceAll(path, 'the picture'),
      );
    for await (const answers of askRun(run, [question], options, context)) return answers;
    return [];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** One after the other: two models at once would need the memory twice. */
function oneByOne<Value, Result>(work: (value: Value) => Promise<Result>): (value: Value) => Promise<Result> {
  let last: Promise<unknown> = Promise.resolve();
  return (value) => {
    const next = last.then(() => work(value));
    last = next.catch(() => undefined);
    return next;
  };
}
