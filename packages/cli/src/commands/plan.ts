/** `contextlora plan`: which device runs what, how long it takes, and why. Everything it prints is simulated. */
import { stat } from 'node:fs/promises';

import { readTaskFile } from '@contextlora/finetune';
import { ifThere, writeWhole } from '@contextlora/lora/files';
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
import { drawGanttSvg, runChart, stepChart, traceEvents, traceRun } from '@contextlora/scheduler/views';
import { graphWorkloads, type GraphWorkloadSettings } from '@contextlora/workloads';
import { Option } from 'commander';

import { CliError } from '../cli-error.js';
import type { CommandContext } from '../command-context.js';
import type { CommandSetup } from '../command-setup.js';
import { plotFront } from '../drawings/plot-front.js';
import { helpExamples } from '../help-examples.js';
import { collect, naturalNumber, positiveNumber } from '../option-values.js';
import { readClusters } from '../read-cluster.js';
import { describeSimulatedPlan } from '../terminal/plan-tables.js';
import { clockTime } from '../terminal/progress.js';
import { formatTable } from '../terminal/table.js';

interface PlanOptions extends GraphWorkloadSettings {
  readonly taskFile: string;
  readonly model: string;
  /** Paths. */
  readonly cluster: readonly string[];
  readonly objective: Objective;
  readonly joules?: number;
  readonly whatIf?: string;
  readonly json?: string;
  readonly svg?: string;
  readonly stepSvg?: string;
  readonly trace?: string;
  readonly stepTrace?: string;
  /** File for the chart of time against energy. */
  readonly front?: string;
}

export function addPlanCommand({ program, context, runToEnd }: CommandSetup): void {
  program
    .command('plan <tasks.yaml>')
    .description(
      'plan the training of a task file on unequal devices: what runs where, how long it takes, and why (simulated)',
    )
    .requiredOption(
      '--model <directory|name>',
      `model directory, or the published dimensions of ${publishedSpecNames.join(', ')}`,
    )
    .requiredOption(
      '--cluster <file>',
      'devices and links as JSON; repeatable, to combine files from several machines',
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
        .choices(['f32', 'f16', 'int8', 'q8_0', 'q4_0', 'q4_1', 'w8a8'])
        .default('f32'),
    )
    .option(
      '--frozen-prefix',
      'train only upper layers in tasks on deeper levels, so that the lower layers are frozen',
      false,
    )
    .addOption(
      new Option('--objective <what>', 'what to minimise').choices(['time', 'energy']).default('time'),
    )
    .option('--joules <n>', 'energy limit in joules for all devices together', positiveNumber)
    .option('--what-if <changes>', 'plan again with changes, for example "drop orin-2, wifi=50Mbit"')
    .option('--json <file>', 'write workloads, cluster and plan as JSON')
    .option('--svg <file>', 'write a Gantt chart of the whole run as SVG')
    .option('--step-svg <file>', 'write a Gantt chart of the first steps of the longest interval as SVG')
    .option(
      '--front <file>',
      'also plan for energy and for compromises, and write a chart of time against energy as SVG',
    )
    .option('--trace <file>', 'write the whole run as Trace Event JSON, for Perfetto')
    .option('--step-trace <file>', 'write the first steps of the longest interval as Trace Event JSON')
    .addHelpText(
      'after',
      helpExamples([
        [
          'contextlora plan tasks.yaml --model smollm2-135m --cluster devices.json --svg plan.svg',
          'plan, and draw the whole run',
        ],
        [
          'contextlora plan tasks.yaml --model ./model --cluster orin.json --cluster nano.json',
          'combine the measurements of two machines',
        ],
        [
          'contextlora plan tasks.yaml --model smollm2-135m --cluster devices.json --what-if "drop orin-2, wifi=50Mbit, nano.memory=2GiB"',
          'compare with other devices and links',
        ],
      ]),
    )
    .action((taskFile: string, options: Omit<PlanOptions, 'taskFile'>) =>
      runToEnd(() => runPlan({ taskFile, ...options }, context)),
    );
}

async function runPlan(options: PlanOptions, { progress }: CommandContext): Promise<void> {
  const { taskFile, model, objective, joules, whatIf } = options;
  const { graph } = await readTaskFile(taskFile);
  const spec = await specOf(model);
  const { cluster, unknownPeers } = await readClusters(options.cluster);
  if (unknownPeers.length > 0)
    progress.print(
      `Links to ${unknownPeers.join(', ')} are left out: no file describes these devices (run "contextlora profile --measure" there, and pass its file with --cluster too)`,
    );
  const others = devicesOfOtherProducts(cluster, options.base);
  if (others.length > 0)
    progress.print(
      `${others.join(', ')}: the rates are not of products with a base in ${options.base}, which run at others; ` +
        `"contextlora profile --measure MODEL --base ${options.base}" measures them`,
    );
  const workloads = graphWorkloads(spec, graph, options);
  const ask = { objective, joulesLimit: joules };
  const planned = planAndSimulate(workloads, cluster, ask);
  progress.print(
    `Plan (simulated) for ${graph.order} tasks with ${model} on ${cluster.devices.length} devices: ` +
      `about ${clockTime(planned.plan.totalSeconds)} of training`,
  );
  for (const line of describeSimulatedPlan(planned, cluster)) progress.print(line);
  let changedPlan: { cluster: Cluster; planned: SimulatedPlan } | undefined;
  if (whatIf !== undefined) {
    const changed = applyWhatIf(cluster, whatIf);
    const again = planAndSimulate(workloads, changed, ask);
    changedPlan = { cluster: changed, planned: again };
    const ratio = again.plan.totalSeconds / planned.plan.totalSeconds;
    progress.print();
    progress.print(
      `What if ${whatIf}? About ${clockTime(again.plan.totalSeconds)}, ${ratio.toFixed(2)} times as long:`,
    );
    for (const line of describeSimulatedPlan(again, changed)) progress.print(line);
  }
  const front = options.front === undefined ? undefined : frontOfCluster(workloads, cluster);
  if (front) {
    progress.print();
    progress.print(
      'Time against energy (simulated); no plan was found that is both faster and uses less energy than any of these:',
    );
    for (const line of frontTable(front)) progress.print(line);
  }
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
            ...(changedPlan
              ? { whatIf: { changes: whatIf, cluster: changedPlan.cluster, plan: changedPlan.planned.plan } }
              : {}),
            ...(front ? { timeEnergy: front } : {}),
          },
          null,
          2,
        )}\n`,
    ],
    [options.svg, () => drawGanttSvg(runChart(planned.plan, cluster))],
    [options.stepSvg, () => drawGanttSvg(stepChart(planned.timeline, planned.schedule))],
    [options.trace, () => JSON.stringify(traceRun(planned.plan, cluster))],
    [options.stepTrace, () => JSON.stringify(traceEvents(planned.timeline, planned.schedule))],
  ];
  if (front) {
    const title = `Training ${graph.order} tasks with ${model} (simulated)`;
    files.push([options.front, () => plotFront(front, { title })]);
  }
  for (const [path, make] of files) if (path !== undefined) await writeWhole(path, make());
}

/** The devices whose rates are of products in float32 where those of the base are in integers, or the other way round. */
const devicesOfOtherProducts = ({ devices }: Cluster, base: string): string[] =>
  devices.filter((device) => (device.base === 'w8a8') !== (base === 'w8a8')).map(({ id }) => id);

const frontTable = ({ front }: FrontOfCluster): string[] =>
  formatTable(
    ['devices', 'time', 'energy'],
    front.map(({ devices, totalSeconds, totalJoules }) => [
      devices.join(' + '),
      clockTime(totalSeconds),
      `${(totalJoules / 3600).toFixed(2)} Wh`,
    ]),
  );

/** The dimensions in a model directory, or published ones. */
async function specOf(model: string): Promise<ModelSpec> {
  if (await ifThere(stat(model))) return readModelSpec(model);
  const spec = publishedSpec(model);
  if (!spec)
    throw new CliError(
      'CLI_MODEL_UNKNOWN',
      'plan',
      `there is no model directory ${model}, and no model of that name is known; known are ${publishedSpecNames.join(', ')}`,
    );
  return spec;
}
