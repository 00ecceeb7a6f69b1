/** What a run leaves behind: partition, PEFT folders, report, metrics, pictures. */
import { join } from 'node:path';

import {
  composeTask,
  type Partition,
  type Segments,
  writePartition,
  writePeftFolder,
  writeWhole,
} from '@contextlora/lora';
import type { TaskGraph } from '@contextlora/task-graph';

import { drawGraph } from '../drawings/draw-graph.js';
import { type LossPoint, plotLosses } from '../drawings/plot-losses.js';
import { renderPng } from '../drawings/render-png.js';
import type { RunReport } from './run-report.js';

export interface RunFiles {
  readonly graph: TaskGraph;
  readonly partition: Partition;
  readonly segments: Segments;
  readonly report: RunReport;
  readonly losses: readonly LossPoint[];
}

/** Writes everything below `directory`; returns what was written, with a word on each. */
export async function writeRun(
  directory: string,
  { graph, partition, segments, report, losses }: RunFiles,
): Promise<readonly (readonly [string, string])[]> {
  await writePartition(join(directory, 'partition'), partition, segments);
  for (const task of partition.order)
    await writePeftFolder(join(directory, 'adapters', task), composeTask(partition, segments, task));
  const graphSvg = await drawGraph(graph);
  const lossSvg = await plotLosses(losses, { title: `${report.name}: training loss, phase by phase` });
  await writeWhole(join(directory, 'graph.svg'), graphSvg);
  await writeWhole(join(directory, 'graph.png'), renderPng(graphSvg, { widthPixels: 900 }));
  await writeWhole(join(directory, 'losses.svg'), lossSvg);
  await writeWhole(join(directory, 'losses.png'), renderPng(lossSvg));
  await writeWhole(join(directory, 'report.json'), `${JSON.stringify(report, null, 2)}\n`);
  return [
    ['partition/', 'the segments of all tasks, their spans and SHA-256'],
    ...partition.order.map(
      (task) => [`adapters/${task}/`, 'a PEFT adapter: the task with all it builds on'] as const,
    ),
    ['report.json', 'every number above'],
    ['metrics.jsonl', 'every training step'],
    ['losses.svg, .png', 'the training losses'],
    ['graph.svg, .png', 'the task dependency graph'],
  ];
}
