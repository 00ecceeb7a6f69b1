/** d q in blocks of 32: a half d, then 32 signed bytes q. */
import { encodableBlockFormat } from '../block-format.js';
import { halfAt } from '../half.js';
import { largestMagnitude } from '../largest-magnitude.js';
import { bits8 } from '../resident-layouts.js';

export const q8_0 = encodableBlockFormat({
  name: 'q8_0',
  blockValues: 32,
  blockBytes: 34,
  expansion: 'expandQ80',
  layout: bits8,

  decode(blocks, values) {
    for (let block = 0; block < blocks.length / 34; block++) {
      const d = halfAt(blocks, block * 34);
      for (let i = 0; i < 32; i++) values[block * 32 + i] = d * ((blocks[block * 34 + 2 + i]! << 24) >> 24);
    }
  },

  /** d = largest magnitude / 127, q = value / d */
  encodeBlock(values, block, toHalf) {
    const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
    const d = largestMagnitude(values) / 127;
    view.setUint16(0, toHalf(d), true);
    for (const [i, value] of values.entries()) view.setInt8(2 + i, d === 0 ? 0 : Math.round(value / d));
  },

  arrange(blocks, { outFeatures, inFeatures }, { bytes, floats }) {
    const perRow = inFeatures / 32;
    const rowBytes = bits8.rowBytes(inFeatures);
    for (let i = 0; i < outFeatures * perRow; i++) {
      const [row, block] = [Math.floor(i / perRow), i % perRow];
      floats[(row * rowBytes) / 4 + block] = halfAt(blocks, i * 34);
      bytes.set(blocks.subarray(i * 34 + 2, (i + 1) * 34), row * rowBytes + perRow * 4 + block * 32);
    }
  },
});
