/** Composition: a task with all its ancestors as one ordinary LoRA. */
import { lookUp } from '../look-up.js';
import { closureOf, type Partition, scaleOf } from '../partition/partition.js';
import type { AdapterModules } from './adapter-module.js';
import type { Segments } from './segment.js';

/**
 * The adapter of a task and its ancestors, one LoRA per module: rows of A stacked, columns of B side by side.
 *
 * Each segment's scale is folded into its B, so that the scale of the result is 1.
 *
 * @throws LoraError (`LORA_TASK_UNKNOWN`) when the partition has no such task.
 */
export function composeTask(partition: Partition, segments: Segments, task: string): AdapterModules {
  const closure = closureOf(partition, task);
  const modules = Object.entries(partition.layers).flatMap(([layer, { inFeatures, outFeatures }]) => {
    const parts = closure.flatMap((id) => {
      const matrices = lookUp(segments, id)?.[layer];
      const entry = lookUp(partition.tasks, id);
      return matrices && entry ? [{ ...matrices, scale: scaleOf(entry, matrices.rank) }] : [];
    });
    const rank = parts.reduce((sum, part) => sum + part.rank, 0);
    if (rank === 0) return [];
    const a = new Float32Array(rank * inFeatures);
    const b = new Float32Array(outFeatures * rank);
    let start = 0;
    for (const part of parts) {
      a.set(part.a, start * inFeatures);
      for (let row = 0; row < outFeatures; row++)
        for (let column = 0; column < part.rank; column++)
          b[row * rank + start + column] = part.scale * (part.b[row * part.rank + column] ?? 0);
      start += part.rank;
    }
    return [[layer, { rank, scale: 1, a, inFeatures, b, outFeatures }] as const];
  });
  return Object.fromEntries(modules);
}
