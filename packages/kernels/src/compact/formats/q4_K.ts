/** d · scale · q − dmin · minimum in blocks of 256, eight groups of 32: halves d and dmin, 12 bytes of scales, 128 bytes of numbers q. */
import { blockFormat } from '../block-format.js';
import { groupScales } from '../group-scales.js';
import { bits4 } from '../resident-layouts.js';

export const q4_K = blockFormat({
  name: 'q4_K',
  blockValues: 256,
  blockBytes: 144,
  expansion: 'expandQ4K',
  layout: bits4,

  decode(blocks, values) {
    for (let block = 0; block < blocks.length / 144; block++) {
      const at = block * 144;
      for (let group = 0; group < 8; group++) {
        const { scale, minimum } = groupScales(blocks, at, group);
        for (let i = 0; i < 32; i++) {
          const packed = blocks[at + 16 + (group >> 1) * 32 + i]!;
          const q = group % 2 === 0 ? packed & 15 : packed >> 4;
          values[block * 256 + group * 32 + i] = scale * q - minimum;
        }
      }
    }
  },

  arrange(blocks, { outFeatures, inFeatures }, { bytes, floats }) {
    const perRow = inFeatures / 32;
    const rowBytes = bits4.rowBytes(inFeatures);
    for (let i = 0; i < (outFeatures * perRow) / 8; i++) {
      const [row, first] = [Math.floor(i / (perRow / 8)), (i % (perRow / 8)) * 8];
      for (let group = 0; group < 8; group++) {
        const { scale, minimum } = groupScales(blocks, i * 144, group);
        const at = (row * rowBytes) / 4 + first + group;
        floats[at] = scale;
        floats[at + perRow] = -minimum;
        const to = row * rowBytes + perRow * 8 + (first + group) * 16;
        const from = i * 144 + 16 + (group >> 1) * 32;
        const shift = group % 2 === 0 ? 0 : 4;
        for (let j = 0; j < 16; j++) {
          const [low, high] = [blocks[from + j]!, blocks[from + j + 16]!];
          bytes[to + j] = ((low >> shift) & 15) | (((high >> shift) & 15) << 4);
        }
      }
    }
  },
});
