/** value = scale of its row · q, q a signed byte; any size of row. */
import { copyToHeap } from '../copy-to-heap.js';
import { largestMagnitude } from '../largest-magnitude.js';
import { requireElements } from '../require-elements.js';
import { bits8 } from '../resident-layouts.js';
import type { EncodableFormat } from '../weight-format.js';

export interface Int8Weight {
  readonly format: 'int8';
  readonly values: Int8Array;
  /** One per row. */
  readonly scales: Float32Array;
}

export const int8: EncodableFormat<Int8Weight> = {
  name: 'int8',
  blockValues: 1,
  blockBytes: 1,
  rowOverheadBytes: 4,
  layout: bits8,

  check({ values, scales }, shape) {
    const { outFeatures, inFeatures } = shape;
    requireElements('the values of an int8 weight', values.length, outFeatures * inFeatures, shape);
    requireElements('the scales of an int8 weight', scales.length, outFeatures, shape);
  },

  decode(weight, inFeatures, values) {
    for (let i = 0; i < values.length; i++)
      values[i] = weight.values[i]! * weight.scales[Math.floor(i / inFeatures)]!;
  },

  /** scale = largest magnitude of the row / 127 */
  encode(values, { outFeatures, inFeatures }) {
    const scales = Float32Array.from({ length: outFeatures }, (_, row) => {
      const largest = largestMagnitude(values.subarray(row * inFeatures, (row + 1) * inFeatures));
      return largest / 127;
    });
    const rounded = new Int8Array(values.length);
    for (let row = 0, i = 0; row < outFeatures; row++) {
      const scale = scales[row]!;
      for (const end = i + inFeatures; i < end; i++)
        rounded[i] = scale === 0 ? 0 : Math.round(values[i]! / scale);
    }
    return { format: 'int8', values: rounded, scales };
  },

  expandRows(weight, { inFeatures, first, end }, { heap, module, target, room }) {
    const part = weight.values.subarray(first * inFeatures, end * inFeatures);
    const scales = weight.scales.subarray(first, end);
    // Behind the values, at a float's boundary.
    const behind = Math.ceil(part.byteLength / 4) * 4;
    const address = copyToHeap(heap, part, room(behind + scales.byteLength));
    heap.floatsAt(address + behind, end - first).set(scales);
    module.expandInt8(address, address + behind, target, end - first, inFeatures);
  },

  arrange(weight, { outFeatures, inFeatures }, { bytes, floats }) {
    const blocks = inFeatures / 32;
    const rowBytes = bits8.rowBytes(inFeatures);
    for (let row = 0; row < outFeatures; row++) {
      const at = row * rowBytes;
      floats.fill(weight.scales[row]!, at / 4, at / 4 + blocks);
      const values = weight.values.subarray(row * inFeatures, (row + 1) * inFeatures);
      bytes.set(new Uint8Array(values.buffer, values.byteOffset, inFeatures), at + blocks * 4);
    }
  },
};
