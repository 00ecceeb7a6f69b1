/** How far the data of a task reach: its own segment and those of its descendants, and nothing else. */
import { descendantsOf, orderTasks, type TaskGraph } from '@contextlora/task-graph';

/** Task → the tasks whose segments and answers its training rows can change: itself and its descendants, in topological order. */
export const dataReach = (graph: TaskGraph): Record<string, string[]> =>
  Object.fromEntries(orderTasks(graph).map((task) => [task, [task, ...descendantsOf(graph, task)]]));
