/** The scales that q4_K and q5_K share: eight groups of 32 a block, each with a 6-bit scale and a 6-bit minimum packed into 12 bytes. */
import { halfAt } from './half.js';

/** d · scale and dmin · minimum of one group of the block at a byte offset. */
export function groupScales(blocks: Uint8Array, at: number, group: number) {
  const byte = (i: number) => blocks[at + 4 + i]!;
  const [scale, minimum] =
    group < 4
      ? [byte(group) & 63, byte(group + 4) & 63]
      : [
          (byte(group + 4) & 15) | ((byte(group - 4) >> 6) << 4),
          (byte(group + 4) >> 4) | ((byte(group) >> 6) << 4),
        ];
  return { scale: halfAt(blocks, at) * scale, minimum: halfAt(blocks, at + 2) * minimum };
}
