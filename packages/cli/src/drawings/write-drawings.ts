/** The pictures of a finished run: its task graph and its training losses. */
import { join } from 'node:path';

import type { LossPoint, WrittenFile } from '@contextlora/finetune';
import { writeWhole } from '@contextlora/lora/files';
import type { TaskGraph } from '@contextlora/task-graph';

import { drawGraph } from './draw-graph.js';
import { plotLosses } from './plot-losses.js';
import { renderPng } from './render-png.js';

/** Writes each picture as SVG and as PNG below `directory`. */
export async function writeDrawings(
  directory: string,
  { name, graph, losses }: { name: string; graph: TaskGraph; losses: readonly LossPoint[] },
): Promise<readonly WrittenFile[]> {
  const graphSvg = await drawGraph(graph);
  const lossSvg = plotLosses(losses, { title: `${name}: training loss, phase by phase` });
  await writeWhole(join(directory, 'graph.svg'), graphSvg);
  await writeWhole(join(directory, 'graph.png'), renderPng(graphSvg, { widthPixels: 900 }));
  await writeWhole(join(directory, 'losses.svg'), lossSvg);
  await writeWhole(join(directory, 'losses.png'), renderPng(lossSvg));
  return [
    { path: 'losses.svg, .png', content: 'the training losses' },
    { path: 'graph.svg, .png', content: 'the task dependency graph' },
  ];
}
