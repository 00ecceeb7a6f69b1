/** Half precision: two bytes per value, rows of any size. */
import { KernelsError } from '../../kernels-error.js';
import { copyToHeap } from '../copy-to-heap.js';
import { halfToFloat, openHalfRounding } from '../half.js';
import { requireElements } from '../require-elements.js';
import { halves } from '../resident-layouts.js';
import type { EncodableFormat } from '../weight-format.js';

export interface F16Weight {
  readonly format: 'f16';
  readonly values: Uint16Array;
}

export const f16: EncodableFormat<F16Weight> = {
  name: 'f16',
  blockValues: 1,
  blockBytes: 2,
  rowOverheadBytes: 0,
  layout: halves,

  check({ values }, shape) {
    const { outFeatures, inFeatures } = shape;
    requireElements('the values of an f16 weight', values.length, outFeatures * inFeatures, shape);
    const odd = values.findIndex((half) => (half & 0x7c00) === 0x7c00);
    if (odd >= 0)
      throw new KernelsError(
        'KERNELS_FORMAT_UNSUITABLE',
        'prepareLinear',
        `value ${odd} of an f16 weight is not a finite number`,
      );
  },

  decode(weight, _inFeatures, values) {
    for (let i = 0; i < values.length; i++) values[i] = halfToFloat(weight.values[i]!);
  },

  encode(values) {
    const toHalf = openHalfRounding();
    // `from` with a function would first make a list of all values, and take many times as long.
    const rounded = new Uint16Array(values.length);
    for (let i = 0; i < rounded.length; i++) rounded[i] = toHalf(values[i]!);
    return { format: 'f16', values: rounded };
  },

  expandRows({ values }, { inFeatures, first, end }, { heap, module, target, room }) {
    const part = values.subarray(first * inFeatures, end * inFeatures);
    module.expandHalf(copyToHeap(heap, part, room(part.byteLength)), target, part.length);
  },

  arrange({ values }, _shape, { bytes }) {
    bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  },
};
