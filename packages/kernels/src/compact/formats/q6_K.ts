/** d · scale · (q − 32) in blocks of 256, sixteen groups of 16: 128 bytes of low four bits, 64 of high two, 16 signed scales, a half d. */
import { blockFormat, copyBlocks } from '../block-format.js';
import { halfAt } from '../half.js';
import { storedBlocks } from '../resident-layouts.js';

const shape = { blockValues: 256, blockBytes: 210, expansion: 'expandQ6K' } as const;

export const q6_K = blockFormat({
  name: 'q6_K',
  ...shape,
  layout: storedBlocks({ ...shape, productKind: 2 }),
  arrange: copyBlocks,

  decode(blocks, values) {
    for (let block = 0; block < blocks.length / 210; block++) {
      const at = block * 210;
      const d = halfAt(blocks, at + 208);
      for (let i = 0; i < 256; i++) {
        // Value i lies in half i >> 7, there in quarter (i >> 5) & 3 at place i & 31.
        const [side, quarter, place] = [i >> 7, (i >> 5) & 3, i & 31];
        const low = blocks[at + side * 64 + (quarter & 1) * 32 + place]! >> ((quarter >> 1) * 4);
        const high = blocks[at + 128 + side * 32 + place]! >> (quarter * 2);
        const scale = (blocks[at + 192 + (i >> 4)]! << 24) >> 24;
        values[block * 256 + i] = d * scale * (((low & 15) | ((high & 3) << 4)) - 32);
      }
    }
  },
});
