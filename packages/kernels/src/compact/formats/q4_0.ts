/** d (q − 8) in blocks of 32: a half d, then 16 bytes whose low halves are the first 16 numbers q. */
import { encodableBlockFormat } from '../block-format.js';
import { halfAt } from '../half.js';
import { packNibbles } from '../nibbles.js';
import { bits4 } from '../resident-layouts.js';

export const q4_0 = encodableBlockFormat({
  name: 'q4_0',
  blockValues: 32,
  blockBytes: 18,
  expansion: 'expandQ40',
  layout: bits4,

  decode(blocks, values) {
    for (let block = 0; block < blocks.length / 18; block++) {
      const at = block * 18;
      const d = halfAt(blocks, at);
      for (let i = 0; i < 16; i++) {
        const packed = blocks[at + 2 + i]!;
        values[block * 32 + i] = d * ((packed & 15) - 8);
        values[block * 32 + i + 16] = d * ((packed >> 4) - 8);
      }
    }
  },

  /** d = the value of largest magnitude / −8, q = value / d + 8 */
  encodeBlock(values, block, toHalf) {
    const extreme = values.reduce((most, value) => (Math.abs(value) > Math.abs(most) ? value : most), 0);
    const d = extreme / -8;
    new DataView(block.buffer, block.byteOffset).setUint16(0, toHalf(d), true);
    packNibbles(values, block.subarray(2), { scale: d, offset: -8 * d });
  },

  arrange(blocks, { outFeatures, inFeatures }, { bytes, floats }) {
    const perRow = inFeatures / 32;
    const rowBytes = bits4.rowBytes(inFeatures);
    for (let i = 0; i < outFeatures * perRow; i++) {
      const [row, block] = [Math.floor(i / perRow), i % perRow];
      const d = halfAt(blocks, i * 18);
      const at = (row * rowBytes) / 4 + block;
      floats[at] = d;
      floats[at + perRow] = -8 * d;
      bytes.set(blocks.subarray(i * 18 + 2, (i + 1) * 18), row * rowBytes + perRow * 8 + block * 16);
    }
  },
});
