/**
 * LoRA dropout: A reads the input of a linear without some of its numbers, others in each step, row and linear.
 *
 * What a row leaves out is a function of (seed, task, step, place of the row in the step, linear): whatever micro-batches and stages a step
 * is cut into, it is the same step.
 */
import { keyedRandom } from '@contextlora/lora';

import type { TaskSegment } from './segments.js';

/** What a micro-batch says of it. Plain JSON. */
export interface MicrobatchDropout {
  readonly seed: number;
  /** The share of the numbers that is left out, from 0 up and below 1. */
  readonly rate: number;
  /** The place of the micro-batch's first row among those of the step. */
  readonly firstRow: number;
}

/** The positions of each row in the input of a linear: `[rows, in]`. */
export interface RowPositions {
  readonly total: number;
  readonly rows: readonly { readonly start: number; readonly length: number }[];
}

/** The segments with the dropout of those that train, in the task's step `step`. */
export function withDropout(
  segments: ReadonlyMap<string, readonly TaskSegment[]>,
  { seed, rate, firstRow }: MicrobatchDropout,
  { step, positionsIn }: { readonly step: number; readonly positionsIn: (linear: string) => RowPositions },
): ReadonlyMap<string, readonly TaskSegment[]> {
  const scale = 1 / (1 - rate);
  return new Map(
    [...segments].map(([linear, active]) => [
      linear,
      active.map((segment) => {
        if (!segment.train) return segment;
        const { total, rows } = positionsIn(linear);
        const width = segment.a.shape[1];
        // Padding reaches nothing.
        const kept = new Uint8Array(total * width);
        for (const [row, { start, length }] of rows.entries()) {
          const random = keyedRandom(seed, 'LoRA dropout', segment.task, step, firstRow + row, linear);
          for (let i = start * width; i < (start + length) * width; i++)
            kept[i] = random.next() < rate ? 0 : 1;
        }
        return { ...segment, dropout: { kept, scale } };
      }),
    ]),
  );
}
