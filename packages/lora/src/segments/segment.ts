/** The matrices of a partition, task by task, so that one task's segment is one value. */
import { keyedRandom } from '../keyed-random.js';
import { lookUp } from '../look-up.js';
import { LoraError } from '../lora-error.js';
import type { Partition } from '../partition/partition.js';

/** A LoRA pair: one task's share of one linear, or several composed into one. */
export interface SegmentMatrices {
  readonly rank: number;
  /** `[rank, in]`, row-major. */
  readonly a: Float32Array;
  /** `[out, rank]`, row-major. */
  readonly b: Float32Array;
}

/** Name of a linear → matrices. */
export type Segment = Readonly<Record<string, SegmentMatrices>>;

/** Task → segment. */
export type Segments = Readonly<Record<string, Segment>>;

/**
 * A fresh segment: A is Kaiming-uniform with a = √5, that is uniform in ±1/√in (as in PEFT); B is zero, so that the segment adds
 * exactly nothing.
 *
 * The numbers depend on (seed, task, linear) alone: adding a task changes no other task's numbers.
 *
 * @throws LoraError (`LORA_PARTITION_INVALID`) when the task has more ranks in all its linears than these can hold.
 */
export function initialiseSegment(partition: Partition, task: string, { seed }: { seed: number }): Segment {
  requireUsefulRanks(partition, task);
  const layers = Object.entries(partition.layers).flatMap(([layer, { inFeatures, outFeatures, spans }]) => {
    const span = lookUp(spans, task);
    if (!span) return [];
    const rank = span.end - span.start;
    const random = keyedRandom(seed, 'segment', task, layer, 'A');
    const bound = 1 / Math.sqrt(inFeatures);
    const a = Float32Array.from({ length: rank * inFeatures }, () => bound * (2 * random.next() - 1));
    return [[layer, { rank, a, b: new Float32Array(outFeatures * rank) }] as const];
  });
  return Object.fromEntries(layers);
}

/** A matrix `[out, in]` has at most min(in, out) ranks: a segment with more than that in every linear could only waste memory. */
function requireUsefulRanks({ layers }: Partition, task: string): void {
  const free = Object.values(layers).flatMap(({ inFeatures, outFeatures, spans }) => {
    const span = lookUp(spans, task);
    return span ? [Math.min(inFeatures, outFeatures) - (span.end - span.start)] : [];
  });
  if (free.length > 0 && Math.max(...free) < 0)
    throw new LoraError(
      'LORA_PARTITION_INVALID',
      'initialiseSegment',
      `task "${task}" has more ranks than any linear of the model can hold; lower the rank`,
    );
}

/** Fresh segments of all tasks of a partition. */
export function initialiseSegments(partition: Partition, { seed }: { seed: number }): Segments {
  return Object.fromEntries(
    partition.order.map((task) => [task, initialiseSegment(partition, task, { seed })]),
  );
}
