/** Roles, and the masks they become: which segments a step uses in each linear, and which of them it trains. */
import { lookUp } from '../look-up.js';
import { LoraError } from '../lora-error.js';
import { type Partition, scaleOf, type Span } from './partition.js';

/** What a segment does in a training step. */
export type Role = 'train' | 'freeze' | 'mask';

/** Task → the role of its segment, in the step of one task. */
export type Roles = Readonly<Record<string, Role>>;

export interface ActiveSpan {
  readonly task: string;
  readonly span: Span;
  /** c_t of this linear. */
  readonly scale: number;
  readonly train: boolean;
}

/** What one linear does in a step. A masked segment does not appear: it is skipped, not multiplied by zero. */
export interface LayerMask {
  readonly layer: string;
  readonly active: readonly ActiveSpan[];
}

/**
 * Masks of all linears; a linear without active segments is the base alone.
 *
 * @throws LoraError (`LORA_TASK_UNKNOWN`) when the roles name a task that the partition does not have.
 */
export function masksFor(partition: Partition, roles: Roles): LayerMask[] {
  for (const task of Object.keys(roles))
    if (!partition.order.includes(task))
      throw new LoraError(
        'LORA_TASK_UNKNOWN',
        'masksFor',
        `the roles name task "${task}", which is not in the partition`,
      );
  return Object.entries(partition.layers).map(([layer, { spans }]) => ({
    layer,
    active: partition.order.flatMap((task): ActiveSpan[] => {
      const span = lookUp(spans, task);
      const role = lookUp(roles, task) ?? 'mask';
      const entry = lookUp(partition.tasks, task);
      if (!span || !entry || role === 'mask') return [];
      return [{ task, span, scale: scaleOf(entry, span.end - span.start), train: role === 'train' }];
    }),
  }));
}
