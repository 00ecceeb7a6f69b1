/** `contextlora demo`: the whole method on the embedded model and scenes, shown on the terminal and written to files. */
import { join } from 'node:path';

import {
  type BoardPlan,
  type DemoEvent,
  type DemoOptions,
  type DemoResult,
  runDemo,
} from '@contextlora/benchmarks';
import { type WrittenFile, writeRun } from '@contextlora/finetune';
import { publishedAssumptions } from '@contextlora/jetson';
import { writeWhole } from '@contextlora/lora/files';
import { drawGanttSvg, runChart, stepChart, traceEvents, traceRun } from '@contextlora/scheduler/views';

import { type CommandContext, untilStopped } from '../command-context.js';
import type { CommandSetup } from '../command-setup.js';
import { renderPng } from '../drawings/render-png.js';
import { writeDrawings } from '../drawings/write-drawings.js';
import { helpExamples } from '../help-examples.js';
import { naturalNumber, positiveNumber } from '../option-values.js';
import { missingKernels } from '../terminal/missing-kernels.js';
import { clockTime } from '../terminal/progress.js';
import { imageOf, showDemo } from '../terminal/show-demo.js';
import { forceOption } from './force-option.js';

type DemoCommandOptions = Omit<DemoOptions, 'clock' | 'program' | 'version' | 'writeResults'>;

export function addDemoCommand({ program, context, run }: CommandSetup): void {
  program
    .command('demo')
    .description('train the embedded model on four driving tasks and show the result')
    .option('--out <directory>', 'output directory', 'demo-output')
    .option('--seed <n>', 'random seed for scenes, adapters and batches', naturalNumber, 0)
    .option(
      '--effort <share>',
      'multiplies the numbers of scenes and steps; below 1 for a quick look',
      positiveNumber,
      1,
    )
    .option('--no-compare', 'do not train the baselines')
    .option('--resume', 'continue an earlier run in the same directory', false)
    .addOption(forceOption())
    .addHelpText(
      'after',
      helpExamples([
        ['contextlora demo', 'the whole method, in some minutes'],
        ['contextlora demo --effort 0.1 --no-compare --out quick', 'a quick look'],
        ['contextlora demo --resume', 'go on after Ctrl-C'],
      ]),
    )
    .action((options: DemoCommandOptions) => run(() => runAndShowDemo(options, context)));
}

async function runAndShowDemo(options: DemoCommandOptions, context: CommandContext): Promise<void> {
  const { progress, clock, program, version, signal } = context;
  const { out } = options;
  const started = clock();
  const show = showDemo({ ...options, progress, clock });
  progress.print('ContextLoRA: one small vision-language model learns four tasks that build on each other');
  /** What events told that is also written to files. */
  const told: { question?: Told<'question'>; boards?: Told<'boards'> } = {};
  const writeResults = async (result: DemoResult, folder: string): Promise<readonly WrittenFile[]> => [
    { path: 'scenes/', content: 'the pictures and their labels' },
    ...(await writeRun(folder, result)),
    ...(await writeDrawings(folder, { ...result, name: result.report.name })),
    ...(told.question ? [await writeQuestion(folder, imageOf(out, told.question.row), told.question)] : []),
    ...(told.boards ? await writeBoardPlan(folder, told.boards.plan) : []),
  ];
  const events = runDemo({ ...options, clock, program, version, writeResults });
  for await (const event of untilStopped(events, signal)) {
    show(event);
    if (event.type === 'base')
      for (const line of await missingKernels(event.backend)) progress.print(`   ${line}`);
    if (event.type === 'question') told.question = event;
    if (event.type === 'boards') told.boards = event;
    if (event.type === 'finished') return;
  }
  progress.print();
  progress.print(`Done in ${clockTime(clock() - started)}.`);
}

type Told<Type extends DemoEvent['type']> = Extract<DemoEvent, { type: Type }>;

/** Writes the question to a file, so that another program can ask the same (tools/check-peft.py does). */
async function writeQuestion(
  folder: string,
  image: string,
  { row, answers }: Told<'question'>,
): Promise<WrittenFile> {
  await writeWhole(
    join(folder, 'question.json'),
    `${JSON.stringify({ image, text: row.text, answers }, null, 2)}\n`,
  );
  return { path: 'question.json', content: 'the question and its answers' };
}

async function writeBoardPlan(
  folder: string,
  { simulated: { plan, schedule, timeline }, settings, workloads, cluster, peers }: BoardPlan,
): Promise<readonly WrittenFile[]> {
  const views = [
    { name: 'plan', chart: runChart(plan, cluster), trace: traceRun(plan, cluster) },
    { name: 'plan-step', chart: stepChart(timeline, schedule), trace: traceEvents(timeline, schedule) },
  ];
  for (const { name, chart, trace } of views) {
    const svg = drawGanttSvg(chart);
    await writeWhole(join(folder, `${name}.svg`), svg);
    await writeWhole(join(folder, `${name}.png`), renderPng(svg, { widthPixels: 1400 }));
    await writeWhole(join(folder, `${name}-trace.json`), JSON.stringify(trace));
  }
  await writeWhole(
    join(folder, 'plan.json'),
    `${JSON.stringify({ simulated: true, assumptions: publishedAssumptions, settings, workloads, cluster, plan, peers }, null, 2)}\n`,
  );
  return [
    { path: 'plan.json', content: 'the plan for five boards (simulated), with its reasons' },
    { path: 'plan.svg, .png', content: 'the whole run: which board trains what, and when' },
    { path: 'plan-step.svg, .png', content: 'the first steps of its longest interval' },
    { path: 'plan-trace.json, plan-step-trace.json', content: 'the same two for Perfetto' },
  ];
}
