/** Checks of the operands of attention, shared by every backend. */
import type { Tensor2D } from '@contextlora/kernels/tfjs';

import { KernelsError } from './kernels-error.js';
import type { AttentionShape, RotaryPositions, RotaryTable } from './kernels.js';
import { requireLength } from './require-length.js';
import { requireShape } from './require-shape.js';

export function requireAttention(
  { q, k, v }: { q: Tensor2D; k: Tensor2D; v: Tensor2D },
  { batch, time, heads, kvHeads, headDim, firstKeys }: AttentionShape,
): void {
  requireShape('attention', 'q', q, [batch * time, heads * headDim]);
  requireShape('attention', 'k', k, [batch * time, kvHeads * headDim]);
  requireShape('attention', 'v', v, [batch * time, kvHeads * headDim]);
  if (heads % kvHeads !== 0)
    throw new KernelsError(
      'KERNELS_OPERAND_MISMATCH',
      'attention',
      `${heads} heads cannot share ${kvHeads} key/value heads evenly`,
    );
  if (!firstKeys) return;
  requireLength('attention', 'firstKeys', firstKeys.length, batch);
  for (const [item, first] of firstKeys.entries())
    if (!Number.isInteger(first) || first < 0 || first >= time)
      throw new KernelsError(
        'KERNELS_OUT_OF_RANGE',
        'attention',
        `the first key of row ${item} must be one of 0 to ${time - 1}, got ${first}`,
      );
}

/** Throws unless a table covers `time` positions from `offset` for heads of this size. */
export function requireRotary(
  { time: positions, halfDim, cos, sin }: RotaryTable,
  { time, headDim, offset }: { time: number; headDim: number; offset: number },
): void {
  if (headDim !== 2 * halfDim || offset < 0 || offset + time > positions)
    throw new KernelsError(
      'KERNELS_OUT_OF_RANGE',
      'rotary',
      `the table has ${positions} positions of half dimension ${halfDim}; ` +
        `positions up to ${offset + time} of half dimension ${headDim / 2} are needed`,
    );
  requireLength('rotary', 'the table of cosines', cos.length, positions * halfDim);
  requireLength('rotary', 'the table of sines', sin.length, positions * halfDim);
}

export const offsetOf = (rotary: RotaryPositions | undefined) => rotary?.offset ?? 0;
