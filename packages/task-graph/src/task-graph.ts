/** The task dependency graph: graphology's own directed graph, and functions over it. */
import graphology from 'graphology';
import type { DirectedGraph as DirectedGraphType } from 'graphology';

import { findCycle } from './find-cycle.js';
import type { TaskSpec } from './task-spec.js';

// graphology is CommonJS: its classes hang on the default export.
const { DirectedGraph } = graphology;

/** Nodes carry the task, edges go from a dependency to its dependant. */
export type TaskGraph = DirectedGraphType<TaskSpec>;

/**
 * Builds the graph of a list of tasks.
 *
 * @throws Error when an id comes twice, a dependency is unknown, or the dependencies form a cycle.
 */
export function buildTaskGraph(tasks: readonly TaskSpec[]): TaskGraph {
  const cycle = findCycle(tasks);
  if (cycle)
    throw new Error(
      `task-graph/buildTaskGraph: the dependencies form a cycle: ${cycle.map((id) => `"${id}"`).join(' → ')}`,
    );
  const graph: TaskGraph = new DirectedGraph<TaskSpec>();
  for (const task of tasks) {
    if (graph.hasNode(task.id))
      throw new Error(`task-graph/buildTaskGraph: task "${task.id}" is defined twice`);
    graph.addNode(task.id, { ...task });
  }
  for (const { id, dependsOn } of tasks)
    for (const parent of dependsOn) {
      if (!graph.hasNode(parent))
        throw new Error(
          `task-graph/buildTaskGraph: task "${id}" depends on "${parent}", which is not defined`,
        );
      graph.mergeDirectedEdge(parent, id);
    }
  return graph;
}

/** The tasks of a graph in the order they were declared. */
export const tasksOf = (graph: TaskGraph): TaskSpec[] => graph.mapNodes((_, task) => task);

/** Topological order; among tasks that could come next, the one declared first (Kahn 1962). */
export function orderTasks(graph: TaskGraph): string[] {
  const waiting = new Map(graph.mapNodes((id) => [id, graph.inDegree(id)] as const));
  const order: string[] = [];
  while (waiting.size > 0) {
    const next = [...waiting].find(([, count]) => count === 0)?.[0];
    if (next === undefined) throw new Error('internal: the graph has a cycle');
    waiting.delete(next);
    order.push(next);
    graph.forEachOutNeighbor(next, (child) => waiting.set(child, (waiting.get(child) ?? 0) - 1));
  }
  return order;
}

/** All tasks that a task builds on, directly or not, in topological order. */
export function ancestorsOf(graph: TaskGraph, task: string): string[] {
  const found = reach(graph, task, (id) => graph.inNeighbors(id));
  return orderTasks(graph).filter((id) => found.has(id));
}

/** All tasks that build on a task, directly or not, in topological order. */
export function descendantsOf(graph: TaskGraph, task: string): string[] {
  const found = reach(graph, task, (id) => graph.outNeighbors(id));
  return orderTasks(graph).filter((id) => found.has(id));
}

/** Length of the longest path that leads to each task: 0 for a task without dependencies. */
export function levelsOf(graph: TaskGraph): Record<string, number> {
  const levels: Record<string, number> = {};
  for (const id of orderTasks(graph))
    levels[id] = 1 + Math.max(-1, ...graph.mapInNeighbors(id, (parent) => levels[parent] ?? 0));
  return levels;
}

/** Whether neither task is an ancestor of the other: their steps do not interact. */
export function areSiblings(graph: TaskGraph, task: string, other: string): boolean {
  return (
    task !== other && !ancestorsOf(graph, task).includes(other) && !ancestorsOf(graph, other).includes(task)
  );
}

/** The tasks level by level: those of one wave are siblings of each other. */
export function siblingWaves(graph: TaskGraph): string[][] {
  const levels = levelsOf(graph);
  const waves: string[][] = [];
  for (const id of orderTasks(graph)) (waves[levels[id] ?? 0] ??= []).push(id);
  return waves;
}

function reach(graph: TaskGraph, start: string, next: (id: string) => string[]): Set<string> {
  if (!graph.hasNode(start)) throw new Error(`task-graph: there is no task "${start}" in the graph`);
  const found = new Set(next(start));
  // A set grows while it is walked.
  for (const id of found) for (const further of next(id)) found.add(further);
  return found;
}
