/** `contextlora plan`: what runs on which device, how long it takes, and why. Everything it prints is simulated. */
import { stat } from 'node:fs/promises';

import { readTaskFile } from '@contextlora/finetune';
import { writeWhole } from '@contextlora/lora/files';
import { type ModelSpec, publishedSpec, publishedSpecNames, readModelSpec } from '@contextlora/model';
import {
  applyWhatIf,
  type Cluster,
  frontOfCluster,
  type FrontOfCluster,
  type Objective,
  planAndSimulate,
  type SimulatedPlan,
} from '@contextlora/scheduler';
import { drawGanttSvg, traceEvents } from '@contextlora/scheduler/views';
import { graphWorkloads, type GraphWorkloadSettings } from '@contextlora/workloads';
import { Option } from 'commander';

import { CliError } from '../cli-error.js';
import type { CommandContext } from '../command-context.js';
import type { CommandSetup } from '../command-setup.js';
import { plotFront } from '../drawings/plot-front.js';
import { collect, naturalNumber, positiveNumber } from '../option-values.js';
import { readClusters } from '../read-cluster.js';
import { describeSimulatedPlan } from '../terminal/plan-tables.js';
import { clockTime } from '../terminal/progress.js';
import { formatTable } from '../terminal/table.js';

interface PlanOptions extends GraphWorkloadSettings {
  readonly taskFile: string;
  readonly model: string;
  /** Files. */
  readonly cluster: readonly string[];
  readonly objective: Objective;
  readonly joules?: number;
  readonly whatIf?: string;
  readonly json?: string;
  readonly svg?: string;
  readonly trace?: string;
  /** Plans for time, for energy and between, and draws them. */
  readonly front?: string;
}

export function addPlanCommand({ program, context, run }: CommandSetup): void {
  program
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
      'devices and links as JSON; repeatable, for a file from each machine',
      collect,
    )
    .option('--rank <n>', 'ranks per linear layer, divided among all tasks', naturalNumber, 32)
    .option('--samples <n>', 'samples per optimizer step', naturalNumber, 16)
    .option('--tokens <n>', 'tokens per sample', naturalNumber, 128)
    .option('--answered <n>', 'tokens per sample that the loss scores', naturalNumber, 16)
    .option('--steps <n>', 'optimizer steps per task', naturalNumber, 250)
    .option('--epochs <n>', 'passes over the samples', naturalNumber, 1)
    .addOption(
      new Option('--base <format>', 'format of the frozen weights')
        .choices(['f32', 'f16', 'int8', 'q8_0', 'q4_0', 'q4_1'])
        .default('f32'),
    )
    .option('--frozen-prefix', 'tasks on deeper levels train upper layers only; the others are frozen', false)
    .addOption(
      new Option('--objective <what>', 'what to minimise').choices(['time', 'energy']).default('time'),
    )
    .option('--joules <n>', 'energy limit of all devices together', positiveNumber)
    .option('--what-if <changes>', 'plan again after changes, for example "drop orin-2, wifi=50Mbit"')
    .option('--json <file>', 'write workloads, cluster and plan')
    .option('--svg <file>', 'write the Gantt chart of the longest wave as SVG')
    .option(
      '--front <file>',
      'also plan for energy and for points between, and draw time against energy as SVG',
    )
    .option('--trace <file>', 'write the schedule as Trace Event JSON, for Perfetto')
    .action((taskFile: string, options: Omit<PlanOptions, 'taskFile'>) =>
      run(() => runPlan({ taskFile, ...options }, context)),
    );
}

async function runPlan(options: PlanOptions, { progress }: CommandContext): Promise<void> {
  const { taskFile, model, objective, joules, whatIf } = options;
  const { graph } = await readTaskFile(taskFile);
  const spec = await specOf(model);
  const { cluster, unknownPeers } = await readClusters(options.cluster);
  if (unknownPeers.length > 0)
    progress.print(
      `Links to ${unknownPeers.join(', ')} are left out: no file describes these devices (run profile --measure there, and pass its --out file here too)`,
    );
  const workloads = graphWorkloads(spec, graph, options);
  const ask = { objective, joulesLimit: joules };
  const planned = planAndSimulate(workloads, cluster, ask);
  progress.print(
    `Plan (simulated) for ${graph.order} tasks with ${model} on ${cluster.devices.length} devices: ` +
      `about ${clockTime(planned.plan.totalSeconds)} of training`,
  );
  for (const line of describeSimulatedPlan(planned, cluster)) progress.print(line);
  let other: { cluster: Cluster; planned: SimulatedPlan } | undefined;
  if (whatIf !== undefined) {
    const changed = applyWhatIf(cluster, whatIf);
    other = { cluster: changed, planned: planAndSimulate(workloads, changed, ask) };
    const ratio = other.planned.plan.totalSeconds / planned.plan.totalSeconds;
    progress.print();
    progress.print(
      `What if ${whatIf}? About ${clockTime(other.planned.plan.totalSeconds)}, ${ratio.toFixed(2)} times as long:`,
    );
    for (const line of describeSimulatedPlan(other.planned, changed)) progress.print(line);
  }
  const front = options.front === undefined ? undefined : frontOfCluster(workloads, cluster);
  if (front) {
    progress.print();
    progress.print(
      'Time against energy (simulated); no plan was found that is both faster and more frugal than one of these:',
    );
    for (const line of frontTable(front)) progress.print(line);
  }
  const frontSvg =
    front && (await plotFront(front, { title: `Training ${graph.order} tasks with ${model} (simulated)` }));
  const files: [string | undefined, () => string][] = [
    [
      options.json,
      () =>
        `${JSON.stringify(
          {
            simulated: true,
            workloads,
            cluster,
            plan: planned.plan,
            ...(other
              ? { whatIf: { changes: whatIf, cluster: other.cluster, plan: other.planned.plan } }
              : {}),
            ...(front ? { timeEnergy: front } : {}),
          },
          null,
          2,
        )}\n`,
    ],
    [options.svg, () => drawGanttSvg(planned.timeline, planned.schedule)],
    [options.front, () => frontSvg!],
    [options.trace, () => JSON.stringify(traceEvents(planned.timeline, planned.schedule))],
  ];
  for (const [path, make] of files) if (path !== undefined) await writeWhole(path, make());
}

const frontTable = ({ front }: FrontOfCluster): string[] =>
  formatTable(
    ['devices', 'time', 'energy'],
    front.map(({ devices, totalSeconds, totalJoules }) => [
      devices.join(' + '),
      clockTime(totalSeconds),
      `${(totalJoules / 3600).toFixed(2)} Wh`,
    ]),
  );

/** A directory's config, or published dimensions. */
async function specOf(model: string): Promise<ModelSpec> {
  if (await stat(model).catch(() => undefined)) return readModelSpec(model);
  const spec = publishedSpec(model);
  if (!spec)
    throw new CliError(
      'CLI_MODEL_UNKNOWN',
      'plan',
      `there is no model directory ${model}, and no published dimensions of that name are known; known are ${publishedSpecNames.join(', ')}`,
    );
  return spec;
}
