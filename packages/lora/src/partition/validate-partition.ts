/** Checks a partition that comes from a file. */
import { lookUp } from '../look-up.js';
import { LoraError } from '../lora-error.js';
import type { Partition } from './partition.js';

/**
 * Checks that a value read from a file is a partition, and returns it.
 *
 * @throws LoraError (`LORA_PARTITION_INVALID`) with every problem.
 */
export function validatePartition(value: unknown, where = 'the partition'): Partition {
  const problems: string[] = [];
  const partition = value as Partition;
  if (typeof value !== 'object' || value === null || (value as { version?: unknown }).version !== 1)
    throw invalid(`${where} is not a partition of version 1`);
  const { order, tasks, layers } = partition;
  const isRecord = (field: unknown) => typeof field === 'object' && field !== null;
  if (!Array.isArray(partition.order) || !isRecord(tasks) || !isRecord(layers))
    throw invalid(`${where} needs "order", "tasks" and "layers"`);
  for (const id of order) {
    const task = lookUp(tasks, id);
    if (!task) problems.push(`task "${id}" is in "order" but has no entry in "tasks"`);
    else {
      if (!(Number.isFinite(task.alpha) && task.alpha > 0))
        problems.push(`task "${id}" has alpha ${JSON.stringify(task.alpha)}`);
      if (!['standard', 'rslora'].includes(task.scaling))
        problems.push(`task "${id}" has scaling ${JSON.stringify(task.scaling)}`);
    }
    for (const parent of task?.dependsOn ?? [])
      if (!order.includes(parent))
        problems.push(`task "${id}" depends on "${parent}", which is not in the partition`);
  }
  for (const [name, layer] of Object.entries(layers)) {
    if (![layer.inFeatures, layer.outFeatures].every((size) => Number.isSafeInteger(size) && size > 0))
      problems.push(`layer "${name}" has no size`);
    let next = 0;
    for (const [id, { start, end }] of Object.entries(layer.spans).sort(
      ([, p], [, q]) => p.start - q.start,
    )) {
      if (!order.includes(id)) problems.push(`layer "${name}" has a span of "${id}", which is not a task`);
      if (start !== next || end <= start || !Number.isSafeInteger(end))
        problems.push(
          `layer "${name}": the span of "${id}" is [${start}, ${end}), expected to start at ${next}`,
        );
      next = end;
    }
  }
  if (problems.length > 0)
    throw new LoraError('LORA_PARTITION_INVALID', 'validatePartition', `${where}:`, { problems });
  return partition;
}

const invalid = (what: string) => new LoraError('LORA_PARTITION_INVALID', 'validatePartition', what);
