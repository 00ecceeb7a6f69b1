/** `contextlora demo`: the whole method on the embedded model and scenes, shown on the terminal and written to files. */
import { join } from 'node:path';

import { type BoardPlan, type DemoOptions, type DemoResult, runDemo } from '@contextlora/benchmarks';
import { type AnswerLine, type WrittenFile, writeRun } from '@contextlora/finetune';
import { publishedAssumptions } from '@contextlora/jetson';
import { writeWhole } from '@contextlora/lora/files';
import { drawGanttSvg, traceEvents } from '@contextlora/scheduler/views';
import type { TaskRow } from '@contextlora/trainer';

import { type CommandContext, Stopped } from '../command-context.js';
import type { CommandSetup } from '../command-setup.js';
import { renderPng } from '../drawings/render-png.js';
import { writeDrawings } from '../drawings/write-drawings.js';
import { naturalNumber, positiveNumber } from '../option-values.js';
import { missingKernels } from '../terminal/missing-kernels.js';
import { clockTime } from '../terminal/progress.js';
import { imageOf, showDemo } from '../terminal/show-demo.js';

type DemoCommandOptions = Omit<DemoOptions, 'clock' | 'program'>;

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
    .action((options: DemoCommandOptions) => run(() => runAndShowDemo(options, context)));
}

async function runAndShowDemo(options: DemoCommandOptions, context: CommandContext): Promise<void> {
  const { progress, clock, program, signal } = context;
  const { out } = options;
  const started = clock();
  const show = showDemo({ ...options, progress, clock });
  progress.print('ContextLoRA: one small vision-language model learns four tasks that build on each other');
  const written: WrittenFile[] = [];
  const events = runDemo({ ...options, clock, program });
  let result: DemoResult;
  try {
    for (;;) {
      const next = await events.next();
      if (next.done) {
        result = next.value;
        break;
      }
      show(next.value);
      if (next.value.type === 'base')
        for (const line of await missingKernels(next.value.backend)) progress.print(`   ${line}`);
      if (next.value.type === 'question')
        written.push(await writeQuestion(out, next.value.row, next.value.answers));
      if (next.value.type === 'boards') written.push(...(await writeBoardPlan(out, next.value.plan)));
      if (signal.aborted) throw new Stopped();
    }
  } finally {
    await events.return(undefined as never);
  }
  const { graph, losses, report } = result;
  const files: readonly WrittenFile[] = [
    { path: 'scenes/', content: 'the pictures and their labels' },
    ...(await writeRun(out, result)),
    ...(await writeDrawings(out, { name: report.name, graph, losses })),
    ...written,
  ];
  progress.print();
  progress.print(`8  Written to ${out}/`);
  for (const { path, content } of files) progress.print(`     ${path.padEnd(20)} ${content}`);
  progress.print();
  progress.print(`Done in ${clockTime(clock() - started)}.`);
}

/** Writes the question to a file, so that another program can ask the same (tools/check-peft.py does). */
async function writeQuestion(
  out: string,
  row: TaskRow,
  answers: readonly AnswerLine[],
): Promise<WrittenFile> {
  await writeWhole(
    join(out, 'question.json'),
    `${JSON.stringify({ image: imageOf(out, row), text: row.text, answers }, null, 2)}\n`,
  );
  return { path: 'question.json', content: 'the question and its answers' };
}

async function writeBoardPlan(
  out: string,
  { simulated: { plan, schedule, timeline }, settings, cluster, peers }: BoardPlan,
): Promise<readonly WrittenFile[]> {
  const svg = drawGanttSvg(timeline, schedule);
  await writeWhole(join(out, 'plan.svg'), svg);
  await writeWhole(join(out, 'plan.png'), renderPng(svg, { widthPixels: 1400 }));
  await writeWhole(join(out, 'plan-trace.json'), JSON.stringify(traceEvents(timeline, schedule)));
  await writeWhole(
    join(out, 'plan.json'),
    `${JSON.stringify({ simulated: true, assumptions: publishedAssumptions, settings, cluster, plan, peers }, null, 2)}\n`,
  );
  return [
    { path: 'plan.json', content: 'the plan for five boards (simulated), with its reasons' },
    { path: 'plan.svg, .png', content: 'its Gantt chart' },
    { path: 'plan-trace.json', content: 'the same for Perfetto' },
  ];
}
