/** A segment, or several composed, as the modules of an adapter: the pair A, B with its scale. */
import { lookUp } from '../look-up.js';
import { LoraError } from '../lora-error.js';
import { type Partition, scaleOf } from '../partition/partition.js';
import type { Segment, SegmentMatrices } from './segment.js';

/** A LoRA pair that adds scale · B A to its module. */
export interface AdapterModule extends SegmentMatrices {
  readonly scale: number;
  readonly inFeatures: number;
  readonly outFeatures: number;
}

/** Run-time name of a module → its pair. */
export type AdapterModules = Readonly<Record<string, AdapterModule>>;

/** The segment of one task as modules, each with the scale of the task. */
export function segmentModules(partition: Partition, task: string, segment: Segment): AdapterModules {
  const entry = lookUp(partition.tasks, task);
  if (!entry)
    throw new LoraError('LORA_TASK_UNKNOWN', 'segmentModules', `there is no task "${task}" in the partition`);
  return Object.fromEntries(
    Object.entries(segment).map(([layer, { rank, a, b }]) => {
      const scale = scaleOf(entry, rank);
      return [layer, { rank, scale, a, inFeatures: a.length / rank, b, outFeatures: b.length / rank }];
    }),
  );
}

/** The segment that {@link segmentModules} made modules of. */
export function segmentOf(modules: AdapterModules): Segment {
  return Object.fromEntries(
    Object.entries(modules).map(([layer, { rank, a, b }]): [string, SegmentMatrices] => [
      layer,
      { rank, a, b },
    ]),
  );
}
