/** The events of the demo on a terminal. */
import { relative } from 'node:path';

import { type BoardPlan, decisionTask, type DemoEvent } from '@contextlora/benchmarks';
import type { AnswerLine } from '@contextlora/finetune';
import { drawGanttText, runChart, stepChart } from '@contextlora/scheduler/views';
import { toText } from '@contextlora/task-graph';
import type { TaskRow } from '@contextlora/trainer';

import { listFiles } from './list-files.js';
import { bar, clockTime, type Progress } from './progress.js';
import { decisionTable, taskTable } from './report-tables.js';
import { showTraining } from './show-training.js';
import { percent } from './table.js';

export interface ShowDemoOptions {
  readonly out: string;
  readonly compare: boolean;
  readonly progress: Progress;
  readonly clock: () => number;
}

/** Returns a function that shows one event after another. */
export function showDemo({ out, compare, progress, clock }: ShowDemoOptions): (event: DemoEvent) => void {
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
            ? '   Scenes: kept from the earlier run'
            : `   Scenes: ${event.scenes.toLocaleString('en')} rendered in ${event.seconds.toFixed(1)} s, 64 × 64 RGB`,
        );
        break;
      case 'looking':
        updateStage('computing image features', event);
        break;
      case 'evaluatingBase':
        updateStage(`evaluating ${event.task} on the base`, event);
        break;
      case 'looked':
        print(
          `   Image features: computed once, since the vision tower is frozen, in ${event.seconds.toFixed(1)} s`,
        );
        break;
      case 'prepared': {
        const { run, settings, trainedParameters, prediction } = event;
        const { partition, phases } = run;
        print();
        print(
          `4  Training: ${phases.length} phases, rank ${settings.rank} in ${Object.keys(partition.layers).length} linear layers, ` +
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
      case 'finished':
        print();
        print(`The run in ${out} is finished; its files are as it wrote them, and nothing is left to do.`);
        break;
      case 'written':
        print();
        print(`8  Written to ${out}/`);
        for (const line of listFiles(event.files)) print(`     ${line}`);
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

/** Path of a row's image, relative to the demo's directory. */
export const imageOf = (out: string, { image }: TaskRow) => (image === undefined ? '' : relative(out, image));

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

function boardPlanLines({ cluster, simulated: { plan, schedule, timeline }, peers }: BoardPlan): string[] {
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
    ...[runChart(plan, cluster), stepChart(timeline, schedule)].flatMap((chart) => [
      '',
      `     ${chart.title}`,
      ...drawGanttText(chart, { columns: 95 })
        .trimEnd()
        .split('\n')
        .map((line) => `     ${line}`),
    ]),
  ];
}
