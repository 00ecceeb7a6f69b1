/**
 * The hash that proves a segment unchanged. It is here, not at the root, because Node's SHA-256 is some nine times as fast as one in
 * JavaScript, and training hashes every segment after every phase.
 */
import { createHash } from 'node:crypto';

import type { Partition } from '../partition/partition.js';
import type { Segment } from '../segments/segment.js';
import { sha256 } from './file-digests.js';

/** SHA-256 over the names of the linears in sorted order, their ranks and bytes, in hexadecimal. */
export function hashSegment(segment: Segment): string {
  const hash = createHash('sha256');
  const sorted = Object.entries(segment).sort(([p], [q]) => (p < q ? -1 : 1));
  for (const [layer, { rank, a, b }] of sorted) {
    hash.update(`${JSON.stringify(layer)} ${rank} ${a.length} ${b.length}\n`);
    for (const values of [a, b])
      hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }
  return hash.digest('hex');
}

/** SHA-256 over everything in a partition, alpha and spans included, whatever the order of its keys; in hexadecimal. */
export function hashPartition(partition: Partition): string {
  return sha256(JSON.stringify(partition, sortKeys));
}

/** A replacer for JSON.stringify. */
const sortKeys = (_: string, value: unknown): unknown =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([p], [q]) => (p < q ? -1 : 1)))
    : value;
