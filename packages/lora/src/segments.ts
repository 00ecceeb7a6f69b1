/** The numbers of a partition, task by task, so that one task's segment is one value. */
import { createHash } from 'node:crypto';

import { keyedRandom } from './keyed-random.js';
import type { Partition } from './partition.js';

/** One task's share of one layer. */
export interface SegmentMatrices {
  readonly rank: number;
  /** `[rank, in]`, row-major. */
  readonly a: Float32Array;
  /** `[out, rank]`, row-major. */
  readonly b: Float32Array;
}

/** Layer name → matrices. */
export type Segment = Readonly<Record<string, SegmentMatrices>>;

/** Task → segment. */
export type Segments = Readonly<Record<string, Segment>>;

/**
 * A fresh segment: A Kaiming-uniform with a = √5, that is uniform in ±1/√in (as PEFT does), B zero, so that it adds exactly nothing.
 *
 * The numbers depend on (seed, task, layer) alone: adding a task moves no other task's numbers.
 */
export function initialiseSegment(partition: Partition, task: string, { seed }: { seed: number }): Segment {
  const layers = Object.entries(partition.layers).flatMap(([layer, { inFeatures, outFeatures, spans }]) => {
    const span = spans[task];
    if (!span) return [];
    const rank = span.end - span.start;
    const random = keyedRandom(seed, 'segment', task, layer, 'A');
    const bound = 1 / Math.sqrt(inFeatures);
    const a = Float32Array.from({ length: rank * inFeatures }, () => bound * (2 * random.next() - 1));
    return [[layer, { rank, a, b: new Float32Array(outFeatures * rank) }] as const];
  });
  return Object.fromEntries(layers);
}

/** Fresh segments of all tasks of a partition. */
export function initialiseSegments(partition: Partition, { seed }: { seed: number }): Segments {
  return Object.fromEntries(
    partition.order.map((task) => [task, initialiseSegment(partition, task, { seed })]),
  );
}

/** SHA-256 over layer names in sorted order, ranks and bytes, in hexadecimal. */
export function hashSegment(segment: Segment): string {
  const hash = createHash('sha256');
  for (const layer of Object.keys(segment).sort()) {
    const matrices = segment[layer];
    if (!matrices) continue;
    const { rank, a, b } = matrices;
    hash.update(`${JSON.stringify(layer)} ${rank} ${a.length} ${b.length}\n`);
    for (const values of [a, b])
      hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }
  return hash.digest('hex');
}
