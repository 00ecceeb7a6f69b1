/** `contextlora plan`: on which device what runs, how long it takes, and why. Everything it prints is simulated. */
import { stat } from 'node:fs/promises';

import { writeWhole } from '@contextlora/lora';
import { type ModelSpec, publishedSpec, publishedSpecNames, readModelSpec } from '@contextlora/model';
import type { Cluster, Objective } from '@contextlora/scheduler';

import { plotFront } from '../drawings/plot-front.js';
import { applyWhatIf } from '../plan/what-if.js';
import {
  graphWorkloads,
  type PlannedRun,
  planRun,
  type PlanSettings,
  planSvg,
  planTrace,
  tellPlannedRun,
} from '../plan/plan-run.js';
import { readClusters } from '../plan/read-cluster.js';
import { frontOfCluster, type FrontOfCluster } from '../plan/time-and-energy.js';
import { readTaskFile } from '../run/read-task-data.js';
import { clockTime } from '../terminal/progress.js';
import { formatTable } from '../terminal/table.js';
import type { CommandContext } from './command-context.js';

export interface PlanCommandOptions extends PlanSettings {
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

export async function runPlan(options: PlanCommandOptions, { progress }: CommandContext): Promise<void> {
  const { taskFile, model, objective, joules, whatIf } = options;
  const { graph } = await readTaskFile(taskFile);
  const spec = await specOf(model);
  const { cluster, unknownPeers } = await readClusters(options.cluster);
  if (unknownPeers.length > 0)
    progress.print(
      `Links to ${unknownPeers.join(', ')} are left out: no file says what these devices can do (profile --measure there, and give its --out file here too)`,
    );
  const workloads = graphWorkloads(spec, graph, options);
  const ask = { objective, joulesLimit: joules };
  const planned = planRun(workloads, cluster, ask);
  progress.print(
    `Plan (simulated) for ${graph.order} tasks with ${model} on ${cluster.devices.length} devices: ` +
      `about ${clockTime(planned.plan.totalSeconds)} of training`,
  );
  for (const line of tellPlannedRun(planned, cluster)) progress.print(line);
  let other: { cluster: Cluster; planned: PlannedRun } | undefined;
  if (whatIf !== undefined) {
    const changed = applyWhatIf(cluster, whatIf);
    other = { cluster: changed, planned: planRun(workloads, changed, ask) };
    const ratio = other.planned.plan.totalSeconds / planned.plan.totalSeconds;
    progress.print();
    progress.print(
      `What if ${whatIf}? About ${clockTime(other.planned.plan.totalSeconds)}, ${ratio.toFixed(2)} times as long:`,
    );
    for (const line of tellPlannedRun(other.planned, changed)) progress.print(line);
  }
  const front = options.front === undefined ? undefined : frontOfCluster(workloads, cluster);
  if (front) {
    progress.print();
    progress.print(
      'Time against energy (simulated); no plan found is both faster and more frugal than one of these:',
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
            ...(front ? { timeEnergy: front } : {}),
          },
          null,
          2,
        )}\n`,
    ],
    [options.svg, () => planSvg(planned)],
    [options.front, () => frontSvg!],
    [options.trace, () => JSON.stringify(planTrace(planned))],
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
    throw new Error(
      `contextlora/plan: there is no model directory ${model}, and no published dimensions of that name are known; known are ${publishedSpecNames.join(', ')}`,
    );
  return spec;
}
