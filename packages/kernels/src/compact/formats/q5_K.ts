/** As q4_K with a fifth bit: bit g of each of 32 bytes, which come before the others, is that of group g. */
import { blockFormat, copyBlocks } from '../block-format.js';
import { groupScales } from '../group-scales.js';
import { storedBlocks } from '../resident-layouts.js';

const shape = { blockValues: 256, blockBytes: 176, expansion: 'expandQ5K' } as const;

export const q5_K = blockFormat({
  name: 'q5_K',
  ...shape,
  layout: storedBlocks({ ...shape, productKind: 1 }),
  arrange: copyBlocks,

  decode(blocks, values) {
    for (let block = 0; block < blocks.length / 176; block++) {
      const at = block * 176;
      for (let group = 0; group < 8; group++) {
        const { scale, minimum } = groupScales(blocks, at, group);
        for (let i = 0; i < 32; i++) {
          const packed = blocks[at + 48 + (group >> 1) * 32 + i]!;
          const low = group % 2 === 0 ? packed & 15 : packed >> 4;
          const high = (blocks[at + 16 + i]! >> group) & 1;
          values[block * 256 + group * 32 + i] = scale * (low | (high << 4)) - minimum;
        }
      }
    }
  },
});
