/** The pictures of a finished run: its task graph, its training losses and the accuracies that were measured. */
import { join } from 'node:path';

import type { AccuracyPoint, LossPoint, WrittenFile } from '@contextlora/finetune';
import { writeWhole } from '@contextlora/lora/files';
import type { TaskGraph } from '@contextlora/task-graph';

import { drawGraph } from './draw-graph.js';
import { plotAccuracies } from './plot-accuracies.js';
import { plotLosses } from './plot-losses.js';
import { renderPng } from './render-png.js';

/** Writes each picture as SVG and as PNG below `directory`. */
export async function writeDrawings(
  directory: string,
  {
    name,
    graph,
    losses,
    accuracies,
  }: {
    name: string;
    graph: TaskGraph;
    losses: readonly LossPoint[];
    accuracies: readonly AccuracyPoint[];
  },
): Promise<readonly WrittenFile[]> {
  const graphSvg = await drawGraph(graph);
  const lossSvg = plotLosses(losses, { title: `${name}: training loss, phase by phase` });
  await writeWhole(join(directory, 'graph.svg'), graphSvg);
  await writeWhole(join(directory, 'graph.png'), renderPng(graphSvg, { widthPixels: 900 }));
  await writeWhole(join(directory, 'losses.svg'), lossSvg);
  await writeWhole(join(directory, 'losses.png'), renderPng(lossSvg));
  const accuracySvg = plotAccuracies(accuracies, { title: `${name}: accuracy, phase by phase` });
  if (accuracies.length > 0) {
    await writeWhole(join(directory, 'accuracies.svg'), accuracySvg);
    await writeWhole(join(directory, 'accuracies.png'), renderPng(accuracySvg));
  }
  return [
    { path: 'losses.svg, .png', content: 'the training losses' },
    ...(accuracies.length > 0
      ? [{ path: 'accuracies.svg, .png', content: 'the accuracies after each phase and at the end' }]
      : []),
    { path: 'graph.svg, .png', content: 'the task dependency graph' },
  ];
}
