/** Adds a task to a partition, removes one, or gives several the ranks that they had, without touching the segments of the others. */
import { lookUp } from '../look-up.js';
import { LoraError } from '../lora-error.js';
import type { AllocationTask } from './allocate.js';
import {
  type Partition,
  type PartitionLayer,
  type PartitionTask,
  rankOfLayer,
  type Span,
} from './partition.js';

/** Gives a new task `rank` ranks at the end of every linear; no other span moves. */
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
    throw invalid('addTask', `task "${task.id}" is already in the partition`);
  for (const parent of task.dependsOn)
    if (!partition.order.includes(parent))
      throw invalid('addTask', `task "${task.id}" depends on "${parent}", which is not in the partition`);
  if (!Number.isInteger(rank) || rank < 1) throw invalid('addTask', `rank must be at least 1, got ${rank}`);
  if (!(Number.isFinite(alpha) && alpha > 0))
    throw invalid('addTask', `alpha must be a number above 0, got ${alpha}`);
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

/** Removes a task; the spans after it move down, and their matrices stay as they are. */
export function removeTask(partition: Partition, task: string): Partition {
  if (!partition.order.includes(task))
    throw new LoraError('LORA_TASK_UNKNOWN', 'removeTask', `there is no task "${task}"`);
  const dependants = partition.order.filter((id) => partition.tasks[id]?.dependsOn.includes(task));
  if (dependants.length > 0)
    throw invalid(
      'removeTask',
      `${dependants.map((id) => `"${id}"`).join(', ')} depends on "${task}"; remove it first`,
    );
  const layers = Object.entries(partition.layers).map(([name, layer]): [string, PartitionLayer] => {
    const gone = lookUp(layer.spans, task);
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

/**
 * A partition in which each of `tasks` has the ranks, alpha and scaling that it has in an earlier partition of the same linears, and every
 * other task its own: a segment fits wherever its task has the same ranks, whatever its spans.
 */
export function keepRanks(partition: Partition, earlier: Partition, tasks: readonly string[]): Partition {
  const kept = new Set(tasks);
  const names = [...new Set([...Object.keys(partition.layers), ...Object.keys(earlier.layers)])];
  const layers = names.flatMap((name): [string, PartitionLayer][] => {
    const [now, before] = [lookUp(partition.layers, name), lookUp(earlier.layers, name)];
    const shape = now ?? before;
    if (!shape) return [];
    let start = 0;
    const spans = partition.order.flatMap((task): [string, Span][] => {
      const span = lookUp((kept.has(task) ? before : now)?.spans ?? {}, task);
      if (!span) return [];
      const end = start + span.end - span.start;
      const moved = { start, end };
      start = end;
      return [[task, moved]];
    });
    return spans.length === 0 ? [] : [[name, { ...shape, spans: Object.fromEntries(spans) }]];
  });
  const entries = Object.entries(partition.tasks).map(([task, entry]): [string, PartitionTask] => {
    const { alpha, scaling } = (kept.has(task) ? lookUp(earlier.tasks, task) : undefined) ?? entry;
    return [task, { ...entry, alpha, scaling }];
  });
  return { ...partition, tasks: Object.fromEntries(entries), layers: Object.fromEntries(layers) };
}

const invalid = (where: string, what: string) => new LoraError('LORA_PARTITION_INVALID', where, what);
