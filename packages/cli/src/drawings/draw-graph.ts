/** The task dependency graph as an SVG drawing. */
import { toDot, type TaskGraph } from '@contextlora/task-graph';
import { Graphviz } from '@hpcc-js/wasm-graphviz';

/** Lays the graph out with Graphviz, dependencies left, dependants right. */
export async function drawGraph(graph: TaskGraph): Promise<string> {
  const graphviz = await Graphviz.load();
  return graphviz.dot(toDot(graph), 'svg');
}
