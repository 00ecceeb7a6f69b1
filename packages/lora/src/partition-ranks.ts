/** Makes and changes partitions. */
import { type Allocate, allocateUniform, type AllocationTask } from './allocate.js';
import type { LinearShape, Partition, PartitionLayer, PartitionTask, Span } from './partition.js';

export interface PartitionRanksOptions {
  /** Ranks per layer, shared by all tasks. */
  readonly rank: number;
  /** c = alpha / rank of the task's own segment; by default alpha is twice the task's ranks where it has most, so c = 2. */
  readonly alpha?: number;
  readonly scaling?: PartitionTask['scaling'];
  readonly allocate?: Allocate;
  /** Decoder layers a task may own rank in, `to` exclusive; all when absent. */
  readonly only?: Readonly<Record<string, { readonly from: number; readonly to: number }>>;
}

/**
 * Shares the ranks of every layer out among the tasks.
 *
 * @throws Error when the rank is smaller than the number of tasks, when a task or layer comes twice, or when `only` names an
 * unknown task.
 */
export function partitionRanks(
  linears: readonly LinearShape[],
  tasks: readonly AllocationTask[],
  { rank, alpha, scaling = 'standard', allocate = allocateUniform, only = {} }: PartitionRanksOptions,
): Partition {
  requireUnique(
    'layer',
    linears.map(({ name }) => name),
  );
  requireUnique(
    'task',
    tasks.map(({ id }) => id),
  );
  if (linears.length === 0)
    throw new Error('lora/partitionRanks: there is no layer to adapt; check the targets');
  if (!Number.isInteger(rank) || rank < tasks.length || tasks.length === 0)
    throw new Error(
      `lora/partitionRanks: rank ${rank} cannot be shared by ${tasks.length} tasks, each needs at least 1; ` +
        `raise the rank to ${Math.max(1, tasks.length)} or more, or leave tasks out`,
    );
  for (const id of Object.keys(only))
    if (!tasks.some((task) => task.id === id))
      throw new Error(`lora/partitionRanks: "only" names task "${id}", which is not among the tasks`);

  const layerCount = 1 + Math.max(-1, ...linears.map(({ layerIndex }) => layerIndex ?? -1));
  const layers: Record<string, PartitionLayer> = {};
  for (const linear of linears) {
    const present = tasks.filter(({ id }) => ownsLayer(only[id], linear.layerIndex));
    if (present.length === 0) continue;
    const ranks = allocate(rank, present, { linear, layerCount });
    let start = 0;
    const spans: Record<string, Span> = {};
    for (const [i, { id }] of present.entries()) {
      const end = start + (ranks[i] ?? 0);
      if (end > start) spans[id] = { start, end };
      start = end;
    }
    layers[linear.name] = { inFeatures: linear.inFeatures, outFeatures: linear.outFeatures, spans };
  }
  const largest = (id: string) =>
    Math.max(0, ...Object.values(layers).map(({ spans }) => (spans[id]?.end ?? 0) - (spans[id]?.start ?? 0)));
  return {
    version: 1,
    order: tasks.map(({ id }) => id),
    tasks: Object.fromEntries(
      tasks.map(({ id, dependsOn }) => [id, { dependsOn, alpha: alpha ?? 2 * largest(id), scaling }]),
    ),
    layers,
  };
}

/** Gives a new task `rank` ranks at the end of every layer; no other span moves. */
export function addTask(
  partition: Partition,
  task: AllocationTask,
  {
    rank,
    alpha = 2 * rank,
    scaling = 'standard',
  }: { rank: number; alpha?: number; scaling?: PartitionTask['scaling'] },
): Partition {
  if (partition.order.includes(task.id))
    throw new Error(`lora/addTask: task "${task.id}" is already in the partition`);
  for (const parent of task.dependsOn)
    if (!partition.order.includes(parent))
      throw new Error(
        `lora/addTask: task "${task.id}" depends on "${parent}", which is not in the partition`,
      );
  if (!Number.isInteger(rank) || rank < 1)
    throw new Error(`lora/addTask: rank must be at least 1, got ${rank}`);
  const layers = Object.entries(partition.layers).map(([name, layer]): [string, PartitionLayer] => {
    const start = rankOfLayer(layer);
    return [name, { ...layer, spans: { ...layer.spans, [task.id]: { start, end: start + rank } } }];
  });
  return {
    ...partition,
    order: [...partition.order, task.id],
    tasks: { ...partition.tasks, [task.id]: { dependsOn: task.dependsOn, alpha, scaling } },
    layers: Object.fromEntries(layers),
  };
}

/** Takes a task out; the spans after it move down, their numbers do not change. */
export function removeTask(partition: Partition, task: string): Partition {
  const dependants = partition.order.filter((id) => partition.tasks[id]?.dependsOn.includes(task));
  if (!partition.order.includes(task)) throw new Error(`lora/removeTask: there is no task "${task}"`);
  if (dependants.length > 0)
    throw new Error(
      `lora/removeTask: ${dependants.map((id) => `"${id}"`).join(', ')} depends on "${task}"; remove it first`,
    );
  const layers = Object.entries(partition.layers).map(([name, layer]): [string, PartitionLayer] => {
    const gone = layer.spans[task];
    const width = gone ? gone.end - gone.start : 0;
    const spans = Object.entries(layer.spans)
      .filter(([id]) => id !== task)
      .map(([id, { start, end }]): [string, Span] =>
        gone && start >= gone.end ? [id, { start: start - width, end: end - width }] : [id, { start, end }],
      );
    return [name, { ...layer, spans: Object.fromEntries(spans) }];
  });
  return {
    ...partition,
    order: partition.order.filter((id) => id !== task),
    tasks: Object.fromEntries(Object.entries(partition.tasks).filter(([id]) => id !== task)),
    layers: Object.fromEntries(layers),
  };
}

/** Ranks of a layer over all tasks. */
export const rankOfLayer = ({ spans }: PartitionLayer): number =>
  Math.max(0, ...Object.values(spans).map(({ end }) => end));

/** A task's ancestors in an order that respects dependencies, then the task itself. */
export function closureOf(partition: Partition, task: string): string[] {
  const wanted = new Set<string>();
  const visit = (id: string) => {
    const entry = partition.tasks[id];
    if (!entry) throw new Error(`lora/closureOf: there is no task "${id}" in the partition`);
    if (wanted.has(id)) return;
    for (const parent of entry.dependsOn) visit(parent);
    wanted.add(id);
  };
  visit(task);
  return [...wanted];
}

/** c_t = alpha / rank, or alpha / sqrt(rank) for rsLoRA (Kalajdzievski 2023). */
export function scaleOf({ alpha, scaling }: PartitionTask, rank: number): number {
  return scaling === 'rslora' ? alpha / Math.sqrt(rank) : alpha / rank;
}

/** @throws Error listing every problem when a value read from a file is no partition. */
export function validatePartition(value: unknown, where = 'the partition'): Partition {
  const problems: string[] = [];
  const partition = value as Partition;
  if (typeof value !== 'object' || value === null || (value as { version?: unknown }).version !== 1)
    throw new Error(`lora/validatePartition: ${where} is no partition of version 1`);
  const { order, tasks, layers } = partition;
  if (!Array.isArray(partition.order) || typeof tasks !== 'object' || typeof layers !== 'object')
    throw new Error(`lora/validatePartition: ${where} needs "order", "tasks" and "layers"`);
  for (const id of order) {
    const task = tasks[id];
    if (!task) problems.push(`task "${id}" is in the order and has no entry`);
    else if (!(task.alpha > 0)) problems.push(`task "${id}" has alpha ${task.alpha}`);
    for (const parent of task?.dependsOn ?? [])
      if (!order.includes(parent)) problems.push(`task "${id}" depends on "${parent}", which is not there`);
  }
  for (const [name, layer] of Object.entries(layers)) {
    if (!(layer.inFeatures > 0 && layer.outFeatures > 0)) problems.push(`layer "${name}" has no size`);
    let next = 0;
    for (const [id, { start, end }] of Object.entries(layer.spans).sort(
      ([, p], [, q]) => p.start - q.start,
    )) {
      if (!order.includes(id)) problems.push(`layer "${name}" has a span of "${id}", which is no task`);
      if (start !== next || end <= start)
        problems.push(
          `layer "${name}": the span of "${id}" is [${start}, ${end}), expected to start at ${next}`,
        );
      next = end;
    }
  }
  if (problems.length > 0)
    throw new Error(
      `lora/validatePartition: ${where}:\n${problems.map((problem) => `  ${problem}`).join('\n')}`,
    );
  return partition;
}

function ownsLayer(range: { from: number; to: number } | undefined, layerIndex: number | undefined): boolean {
  if (!range) return true;
  return layerIndex !== undefined && layerIndex >= range.from && layerIndex < range.to;
}

function requireUnique(kind: string, names: readonly string[]): void {
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new Error(`lora/partitionRanks: ${kind} "${twice}" comes twice`);
}
