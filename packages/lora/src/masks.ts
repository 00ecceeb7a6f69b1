/** From roles to masks: which segments a step uses in each layer, and which of them it trains. */
import { scaleOf } from './partition-ranks.js';
import type { Partition, Span } from './partition.js';
import type { Roles } from './roles.js';

export interface ActiveSpan {
  readonly task: string;
  readonly span: Span;
  /** c_t of this layer. */
  readonly scale: number;
  readonly train: boolean;
}

/** What one layer does in a step. A masked segment does not appear: it is skipped, not multiplied by zero. */
export interface LayerMask {
  readonly layer: string;
  readonly active: readonly ActiveSpan[];
}

/** Masks of all layers; a layer without active segments is the base alone. */
export function masksFor(partition: Partition, roles: Roles): LayerMask[] {
  for (const task of Object.keys(roles))
    if (!partition.order.includes(task))
      throw new Error(`lora/masksFor: the roles name task "${task}", which is not in the partition`);
  return Object.entries(partition.layers).map(([layer, { spans }]) => ({
    layer,
    active: partition.order.flatMap((task): ActiveSpan[] => {
      const span = spans[task];
      const role = roles[task] ?? 'mask';
      const entry = partition.tasks[task];
      if (!span || !entry || role === 'mask') return [];
      return [{ task, span, scale: scaleOf(entry, span.end - span.start), train: role === 'train' }];
    }),
  }));
}
