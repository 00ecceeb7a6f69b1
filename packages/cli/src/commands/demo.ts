/** `contextlora demo`: shows the whole method on the embedded model and scenes, and writes what it made. */
import { join, relative } from 'node:path';

import {
  type BoardPlan,
  decisionTask,
  type DemoEvent,
  type DemoOptions,
  type DemoResult,
  runDemo,
} from '@contextlora/benchmarks';
import { type AnswerLine, type WrittenFile, writeRun } from '@contextlora/finetune';
import { publishedAssumptions } from '@contextlora/jetson';
import { writeWhole } from '@contextlora/lora/files';
import { drawGanttSvg, traceEvents } from '@contextlora/scheduler/views';
import { toText } from '@contextlora/task-graph';
import type { TaskRow } from '@contextlora/trainer';

import { type CommandContext, Stopped } from '../command-context.js';
import type { CommandSetup } from '../command-setup.js';
import { renderPng } from '../drawings/render-png.js';
import { writeDrawings } from '../drawings/write-drawings.js';
import { naturalNumber, positiveNumber } from '../option-values.js';
import { bar, clockTime, type Progress } from '../terminal/progress.js';
import { decisionTable, taskTable } from '../terminal/report-tables.js';
import { showTraining } from '../terminal/show-training.js';
import { percent } from '../terminal/table.js';

type DemoCommandOptions = Omit<DemoOptions, 'clock' | 'program'>;

export function addDemoCommand({ program, context, run }: CommandSetup): void {
  program
    .command('demo')
    .description('train the embedded model on four driving tasks and show the result')
    .option('--out <directory>', 'output directory', 'demo-output')
    .option('--seed <n>', 'random seed for scenes, adapters and batches', naturalNumber, 0)
    .option('--effort <share>', 'below 1 for a quick look: fewer scenes and steps', positiveNumber, 1)
    .option('--no-compare', 'skip the baselines')
    .option('--resume', 'continue an earlier run in the same directory', false)
    .action((options: DemoCommandOptions) => run(() => showDemo(options, context)));
}

async function showDemo(options: DemoCommandOptions, context: CommandContext): Promise<void> {
  const { progress, clock, program, signal } = context;
  const { out } = options;
  const started = clock();
  const show = demoView({ ...options, progress, clock });
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

interface DemoViewOptions {
  readonly out: string;
  readonly compare: boolean;
  readonly progress: Progress;
  readonly clock: () => number;
}

/** Returns a function that shows one event after another. */
function demoView({ out, compare, progress, clock }: DemoViewOptions): (event: DemoEvent) => void {
  const { print, update } = progress;
  /** `stage [####----] 3/8  0:05 left`, timed from the stage's first event. */
  const updateStage = (() => {
    let current = '';
    let from = 0;
    return (stage: string, { done, total }: { done: number; total: number }) => {
      if (stage !== current) [current, from] = [stage, clock()];
      const left = ((clock() - from) / done) * (total - done);
      update(`   ${stage} ${bar(done, total)} ${done}/${total}  ${clockTime(left)} left`);
    };
  })();
  let jointShare = 0;
  let showRun: ReturnType<typeof showTraining> | undefined;
  return (event) => {
    switch (event.type) {
      case 'tasks':
        print();
        print(`1  Tasks: ${event.file.name ?? ''}`);
        for (const { id, instruction, answer } of event.file.tasks)
          print(
            `     ${id.padEnd(9)} "${instruction}" → ${answer.type === 'label' ? answer.labels.join(' | ') : answer.type}`,
          );
        print();
        print('2  Task dependency graph');
        for (const line of toText(event.graph).split('\n')) print(`     ${line}`);
        print();
        break;
      case 'base': {
        const { spec, parameterCount } = event.base;
        print(
          `3  Base model: ${spec.architecture}, ${(parameterCount / 1e6).toFixed(2)} M parameters, ` +
            `${spec.text.layerCount} layers, ${spec.vision?.tokenCount ?? 0} image tokens; ${event.backend} kernels`,
        );
        break;
      }
      case 'rendering':
        updateStage('rendering scenes', event);
        break;
      case 'rendered':
        print(
          event.scenes === 0
            ? '   Scenes: those of the earlier run'
            : `   Scenes: ${event.scenes.toLocaleString('en')} rendered in ${event.seconds.toFixed(1)} s, 64 × 64 RGB`,
        );
        break;
      case 'looking':
        updateStage('looking at the scenes', event);
        break;
      case 'looked':
        print(
          `   Image features: computed once, the vision tower is frozen, in ${event.seconds.toFixed(1)} s`,
        );
        break;
      case 'prepared': {
        const { run, trainedParameters, prediction } = event;
        const { partition, phases } = run;
        print();
        print(
          `4  Training: ${phases.length} phases, ${Object.keys(partition.layers).length} adapted linear layers, ` +
            `${trainedParameters.toLocaleString('en')} parameters in ${partition.order.length} segments` +
            (compare ? '; the joint baseline trains at the same time' : ''),
        );
        print(
          `   Predicted by the cost model, from a decoder layer measured just now: ${prediction.seconds.toFixed(0)} s of steps`,
        );
        showRun = showTraining({
          progress,
          clock,
          phaseCount: phases.length,
          suffix: () => (compare ? `  (joint ${Math.round(100 * jointShare)} %)` : ''),
        });
        break;
      }
      case 'run':
        jointShare = event.jointShare;
        showRun?.(event.event);
        break;
      case 'trained': {
        const { measuredSeconds, error } = event.prediction;
        print(
          `   Steps took ${measuredSeconds.toFixed(1)} s (measured); the prediction was ${signedPercent(error)} off`,
        );
        break;
      }
      case 'emptyGraph':
        if (event.event.type === 'step') {
          const { task, step, steps } = event.event;
          update(`  baseline without ancestors: ${task} ${bar(step + 1, steps)} step ${step + 1}/${steps}`);
        }
        break;
      case 'waitingForJoint':
        update(`  joint baseline ${bar(event.jointShare, 1)} ${Math.round(100 * event.jointShare)} %`);
        break;
      case 'report': {
        const { report, decisionRows } = event;
        print();
        print('5  Accuracy on held-out scenes (unseen-style: drawings of a kind never trained on)');
        for (const line of taskTable(report)) print(`     ${line}`);
        if (report.decision) {
          print();
          print(
            `   The decision (${decisionRows} labelled scenes) by method: same base, data, prompts (parents' answers included), ranks and passes`,
          );
          for (const line of decisionTable(report.decision)) print(`     ${line}`);
        }
        break;
      }
      case 'question':
        print();
        for (const line of questionLines(out, event.row, event.answers)) print(line);
        break;
      case 'boards':
        print();
        for (const line of boardPlanLines(event.plan)) print(line);
        break;
      default:
        event satisfies never;
    }
  };
}

const signedPercent = (share: number): string => `${share < 0 ? '−' : '+'}${percent(Math.abs(share))}`;

const imageOf = (out: string, { image }: TaskRow) => (image === undefined ? '' : relative(out, image));

function questionLines(out: string, row: TaskRow, answers: readonly AnswerLine[]): string[] {
  return [
    `6  A question about a scene it never saw: ${imageOf(out, row)}, "${row.text}"`,
    ...answers.map(({ task, answer, labelLogProbabilities }) => {
      const right = task === decisionTask ? row.answer : row.parents[task];
      const verdict = answer === right ? 'right' : `wrong: ${right ?? '?'}`;
      const probability = labelLogProbabilities ? percent(Math.exp(Math.max(...labelLogProbabilities))) : '';
      return `     ${task.padEnd(9)} ${answer.padEnd(11)} ${probability.padStart(7)}  (${verdict})`;
    }),
  ];
}

/** Also as a file, so that another program can ask the same (tools/check-peft.py does). */
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

function boardPlanLines({ simulated: { plan }, peers }: BoardPlan): string[] {
  const sent = plan.totalBytes === 0 ? 'nothing sent' : `${(plan.totalBytes / 1e6).toFixed(0)} MB sent`;
  const rows = [
    { what: 'same frozen layers', peer: peers.frozen },
    { what: 'plain LoRA', peer: peers.plain },
  ];
  return [
    '7  The same tasks with SmolLM2-135M on five boards and 50 Mbit/s of Wi-Fi: simulated, from published figures',
    `     ContextGear                         ${clockTime(plan.totalSeconds)} of training, ${sent}`,
    ...rows.flatMap(({ what, peer }) =>
      peer
        ? [
            `     best peer, ${what.padEnd(18)}       ${clockTime(peer.totalSeconds)} (${peer.strategy}); ContextGear takes ${(plan.totalSeconds / peer.totalSeconds).toFixed(2)} of it`,
          ]
        : [],
    ),
  ];
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
