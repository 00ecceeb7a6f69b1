/** d q + m in blocks of 32: halves d and m, then 16 bytes whose low halves are the first 16 numbers q. */
import { encodableBlockFormat } from '../block-format.js';
import { halfAt } from '../half.js';
import { packNibbles } from '../nibbles.js';
import { bits4 } from '../resident-layouts.js';

export const q4_1 = encodableBlockFormat({
  name: 'q4_1',
  blockValues: 32,
  blockBytes: 20,
  expansion: 'expandQ41',
  layout: bits4,

  decode(blocks, values) {
    for (let block = 0; block < blocks.length / 20; block++) {
      const at = block * 20;
      const d = halfAt(blocks, at);
      const m = halfAt(blocks, at + 2);
      for (let i = 0; i < 16; i++) {
        const packed = blocks[at + 4 + i]!;
        values[block * 32 + i] = d * (packed & 15) + m;
        values[block * 32 + i + 16] = d * (packed >> 4) + m;
      }
    }
  },

  /** m = the smallest value, d = (the largest − m) / 15, q = (value − m) / d */
  encodeBlock(values, block, toHalf) {
    const m = Math.min(...values);
    const d = (Math.max(...values) - m) / 15;
    const view = new DataView(block.buffer, block.byteOffset);
    view.setUint16(0, toHalf(d), true);
    view.setUint16(2, toHalf(m), true);
    packNibbles(values, block.subarray(4), { scale: d, offset: m });
  },

  arrange(blocks, { outFeatures, inFeatures }, { bytes, floats }) {
    const perRow = inFeatures / 32;
    const rowBytes = bits4.rowBytes(inFeatures);
    for (let i = 0; i < outFeatures * perRow; i++) {
      const [row, block] = [Math.floor(i / perRow), i % perRow];
      const at = (row * rowBytes) / 4 + block;
      floats[at] = halfAt(blocks, i * 20);
      floats[at + perRow] = halfAt(blocks, i * 20 + 2);
      bytes.set(blocks.subarray(i * 20 + 4, (i + 1) * 20), row * rowBytes + perRow * 8 + block * 16);
    }
  },
});
