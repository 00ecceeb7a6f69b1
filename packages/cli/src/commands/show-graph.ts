/** `contextlora graph`: the dependency graph of a task file, in one of several forms. */
import { toDot, toMermaid, toText, type TaskGraph } from '@contextlora/task-graph';

import { drawGraph } from '../drawings/draw-graph.js';
import { readTaskFile } from '../run/read-task-data.js';

/** Form → what is printed. */
export const graphFormats = {
  text: (graph: TaskGraph) => Promise.resolve(toText(graph)),
  dot: (graph: TaskGraph) => Promise.resolve(toDot(graph)),
  mermaid: (graph: TaskGraph) => Promise.resolve(toMermaid(graph)),
  json: (graph: TaskGraph) => Promise.resolve(JSON.stringify(graph.export(), null, 2)),
  svg: (graph: TaskGraph) => drawGraph(graph),
} as const;

export type GraphFormat = keyof typeof graphFormats;

/** The graph of a task file in the given form. */
export async function showGraph(taskFile: string, format: GraphFormat): Promise<string> {
  const { graph } = await readTaskFile(taskFile);
  return graphFormats[format](graph);
}
