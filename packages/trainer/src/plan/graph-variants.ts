/** Other graphs over the same tasks, for ablations: what does the declared structure contribute? */
import { keyedRandom } from '@contextlora/lora';
import { buildTaskGraph, orderTasks, type TaskGraph, type TaskSpec } from '@contextlora/task-graph';

/** No dependencies: every task alone with its segment. */
export const emptyGraph = (graph: TaskGraph): TaskGraph => rewire(graph, () => []);

/** Each task depends on the one before it in topological order. */
export function chainGraph(graph: TaskGraph): TaskGraph {
  const order = orderTasks(graph);
  return rewire(graph, (task) => order.slice(0, order.indexOf(task)).slice(-1));
}

/** Every edge reversed. */
export const reversedGraph = (graph: TaskGraph): TaskGraph =>
  rewire(graph, (task) => graph.outNeighbors(task));

/** As many edges as the declared graph, drawn at random over a random order of the tasks. */
export function randomGraph(graph: TaskGraph, seed: number): TaskGraph {
  const random = keyedRandom(seed, 'random-graph');
  const order = random.shuffle(orderTasks(graph));
  const pairs = order.flatMap((child, i) => order.slice(0, i).map((parent) => ({ parent, child })));
  const kept = random.shuffle(pairs).slice(0, graph.size);
  return rewire(graph, (task) => kept.filter(({ child }) => child === task).map(({ parent }) => parent));
}

function rewire(graph: TaskGraph, dependenciesOf: (task: string) => readonly string[]): TaskGraph {
  const tasks = graph.mapNodes((id, spec): TaskSpec => ({ ...spec, dependsOn: dependenciesOf(id) }));
  return buildTaskGraph(tasks);
}
