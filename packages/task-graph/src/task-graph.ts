/** The task dependency graph: graphology's own directed graph, and functions over it. */
import graphology from 'graphology';
import type { DirectedGraph as DirectedGraphType } from 'graphology';

import { findCycle } from './find-cycle.js';
import { TaskGraphError } from './task-graph-error.js';
import type { TaskSpec } from './task-spec.js';

// graphology is CommonJS: its classes are properties of the default export.
const { DirectedGraph } = graphology;

/** Nodes carry the task, edges go from a dependency to its dependant. */
export type TaskGraph = DirectedGraphType<TaskSpec>;

/**
 * Builds the graph of a list of tasks.
 *
 * @throws TaskGraphError (`TASK_GRAPH_TASKS_INVALID`) when two tasks have one id, a dependency is unknown, or the dependencies form
 * a cycle.
 */
export function buildTaskGraph(tasks: readonly TaskSpec[]): TaskGraph {
  const cycle = findCycle(tasks);
  if (cycle) throw invalid(`the dependencies form a cycle: ${cycle.map((id) => `"${id}"`).join(' → ')}`);
  const graph: TaskGraph = new DirectedGraph<TaskSpec>();
  for (const task of tasks) {
    if (isReserved(task.id))
      throw invalid(`task "${task.id}" has a name that every JavaScript object has; choose another`);
    if (graph.hasNode(task.id)) throw invalid(`task "${task.id}" is defined twice`);
    graph.addNode(task.id, { ...task });
  }
  for (const { id, dependsOn } of tasks)
    for (const parent of dependsOn) {
      if (!graph.hasNode(parent)) throw invalid(`task "${id}" depends on "${parent}", which is not defined`);
      graph.mergeDirectedEdge(parent, id);
    }
  return graph;
}

/** The tasks of a graph in the order they were declared. */
export const tasksOf = (graph: TaskGraph): TaskSpec[] => graph.mapNodes((_, task) => task);

/** Topological order; among the tasks that could come next, the one declared first (Kahn 1962). */
export function orderTasks(graph: TaskGraph): string[] {
  const declared = new Map(graph.nodes().map((id, index) => [id, index] as const));
  const placeOf = (id: string) => declared.get(id) ?? 0;
  const waitsFor = new Map(graph.mapNodes((id) => [id, graph.inDegree(id)] as const));
  const ready = graph.filterNodes((id) => waitsFor.get(id) === 0);
  const order: string[] = [];
  for (let next = ready.shift(); next !== undefined; next = ready.shift()) {
    order.push(next);
    graph.forEachOutNeighbor(next, (child) => {
      const left = (waitsFor.get(child) ?? 0) - 1;
      waitsFor.set(child, left);
      if (left > 0) return;
      const later = ready.findIndex((id) => placeOf(id) > placeOf(child));
      ready.splice(later === -1 ? ready.length : later, 0, child);
    });
  }
  if (order.length < graph.order) throw new Error('internal: the graph has a cycle');
  return order;
}

/** All tasks that a task builds on, directly or not, in topological order. */
export function ancestorsOf(graph: TaskGraph, task: string): string[] {
  const found = reach(graph, task, (id) => graph.inNeighbors(id), 'ancestorsOf');
  return orderTasks(graph).filter((id) => found.has(id));
}

/** All tasks that build on a task, directly or not, in topological order. */
export function descendantsOf(graph: TaskGraph, task: string): string[] {
  const found = reach(graph, task, (id) => graph.outNeighbors(id), 'descendantsOf');
  return orderTasks(graph).filter((id) => found.has(id));
}

/** Length of the longest path that leads to each task: 0 for a task without dependencies. */
export function levelsOf(graph: TaskGraph): Record<string, number> {
  const levels = new Map<string, number>();
  for (const id of orderTasks(graph))
    levels.set(id, 1 + Math.max(-1, ...graph.mapInNeighbors(id, (parent) => levels.get(parent) ?? 0)));
  return Object.fromEntries(levels);
}

/** Whether neither task is an ancestor of the other: their steps do not interact. */
export function areSiblings(graph: TaskGraph, task: string, other: string): boolean {
  return (
    task !== other && !ancestorsOf(graph, task).includes(other) && !ancestorsOf(graph, other).includes(task)
  );
}

/** The tasks level by level: those of one level are siblings. */
export function siblingWaves(graph: TaskGraph): string[][] {
  const levels = levelsOf(graph);
  const waves: string[][] = [];
  for (const id of orderTasks(graph)) (waves[levels[id] ?? 0] ??= []).push(id);
  return waves;
}

function reach(graph: TaskGraph, start: string, next: (id: string) => string[], where: string): Set<string> {
  if (!graph.hasNode(start))
    throw new TaskGraphError('TASK_GRAPH_TASK_UNKNOWN', where, `there is no task "${start}" in the graph`);
  const found = new Set(next(start));
  // A set may grow while it is iterated over.
  for (const id of found) for (const further of next(id)) found.add(further);
  return found;
}

/**
 * Whether an id, such as `constructor`, cannot be used for a task: graphology keeps neighbours in plain objects, takes what they inherit for
 * an edge and silently drops the real one.
 *
 * @internal
 */
export const isReserved = (id: string): boolean => id in Object.prototype;

const invalid = (what: string) => new TaskGraphError('TASK_GRAPH_TASKS_INVALID', 'buildTaskGraph', what);
