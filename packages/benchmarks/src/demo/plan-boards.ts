/** What a task graph would take with SmolLM2-135M on boards that one may own. Simulated: no board is here. */
import { join } from 'node:path';

import { publishedAssumptions, publishedCluster } from '@contextlora/jetson';
import { writeWhole } from '@contextlora/lora';
import { publishedSpec } from '@contextlora/model';
import { clusterInModes } from '@contextlora/scheduler';
import type { TaskGraph } from '@contextlora/task-graph';

import { renderPng } from '../drawings/render-png.js';
import { clockTime } from '../terminal/progress.js';
import { comparePeers } from './compare-peers.js';
import { graphWorkloads, planRun, planSvg, planTrace } from './plan-run.js';

const boards = ['nano', 'tx2', 'xavier-nx-8', 'orin-nano-4', 'orin-nano-8'];

/** Prints the plan beside the best peers, and writes plan, chart and trace; returns what was written, with a word on each. */
export async function planBoards(
  graph: TaskGraph,
  { out, print }: { out: string; print: (line?: string) => void },
): Promise<readonly (readonly [string, string])[]> {
  const spec = publishedSpec('smollm2-135m')!;
  // Peers do not choose power modes, so here nobody does: every board runs in its default one.
  const cluster = clusterInModes(publishedCluster(boards, { megabitsPerSecond: 50, sharedMedium: true }), {});
  const settings = {
    rank: 32,
    samples: 16,
    tokens: 128,
    answered: 16,
    steps: 250,
    epochs: 10,
    base: 'f16',
  } as const;
  const workloads = graphWorkloads(spec, graph, { ...settings, frozenPrefix: true });
  const planned = planRun(workloads, cluster);
  const [peer] = comparePeers(workloads, cluster);
  const plainWorkloads = graphWorkloads(spec, graph, { ...settings, frozenPrefix: false });
  const [plainPeer] = comparePeers(plainWorkloads, cluster);
  const own = planned.plan.totalSeconds;
  print(
    '7  The same tasks with SmolLM2-135M on five boards and 50 Mbit/s of Wi-Fi: simulated, from published figures',
  );
  print(
    `     ContextGear                         ${clockTime(own)} of training, ${formatSent(planned.plan.totalBytes)}`,
  );
  for (const [what, one] of [
    ['same frozen layers', peer],
    ['plain LoRA', plainPeer],
  ] as const)
    if (one)
      print(
        `     best peer, ${what.padEnd(18)}       ${clockTime(one.totalSeconds)} (${one.strategy}); ContextGear takes ${(own / one.totalSeconds).toFixed(2)} of it`,
      );
  const svg = planSvg(planned);
  await writeWhole(join(out, 'plan.svg'), svg);
  await writeWhole(join(out, 'plan.png'), renderPng(svg, { widthPixels: 1400 }));
  await writeWhole(join(out, 'plan-trace.json'), JSON.stringify(planTrace(planned)));
  await writeWhole(
    join(out, 'plan.json'),
    `${JSON.stringify({ simulated: true, assumptions: publishedAssumptions, settings, cluster, plan: planned.plan, peers: { frozen: peer, plain: plainPeer } }, null, 2)}\n`,
  );
  return [
    ['plan.json', 'the plan for five boards (simulated), with its reasons'],
    ['plan.svg, .png', 'its Gantt chart'],
    ['plan-trace.json', 'the same for Perfetto'],
  ];
}

const formatSent = (bytes: number): string =>
  bytes === 0 ? 'nothing sent' : `${(bytes / 1e6).toFixed(0)} MB sent`;
