/** d q + m in blocks of 32: halves d and m, 4 bytes with the fifth bit of every number q, then 16 bytes with the other four. */
import { blockFormat, copyBlocks } from '../block-format.js';
import { halfAt } from '../half.js';
import { storedBlocks } from '../resident-layouts.js';

const shape = { blockValues: 32, blockBytes: 24, expansion: 'expandQ51' } as const;

export const q5_1 = blockFormat({
  name: 'q5_1',
  ...shape,
  layout: storedBlocks({ ...shape, productKind: 0 }),
  arrange: copyBlocks,

  decode(blocks, values) {
    for (let block = 0; block < blocks.length / 24; block++) {
      const at = block * 24;
      const [d, m] = [halfAt(blocks, at), halfAt(blocks, at + 2)];
      const fifth = (i: number) => ((blocks[at + 4 + (i >> 3)]! >> (i & 7)) & 1) << 4;
      for (let i = 0; i < 16; i++) {
        const packed = blocks[at + 8 + i]!;
        values[block * 32 + i] = d * ((packed & 15) | fifth(i)) + m;
        values[block * 32 + i + 16] = d * ((packed >> 4) | fifth(i + 16)) + m;
      }
    }
  },
});
