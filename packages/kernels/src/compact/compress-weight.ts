/** Float32 weights in compact formats, rounded to nearest. */
import { blockShapes, type CompactFormat, type CompactWeight } from './compact-weight.js';
import { requireLength } from '../require-shape.js';
import { KernelsError } from '../kernels-error.js';

/** Formats that float32 can be rounded to here; the others are read from files only, their searches are llama.cpp's own. */
export type CompressFormat = Exclude<CompactFormat, 'q4_K' | 'q5_1' | 'q5_K' | 'q6_K'>;

/** Compresses a weight `[out, in]`; f16 throws where a value is too large for it. */
export function compressWeight(
  values: Float32Array,
  outFeatures: number,
  inFeatures: number,
  format: CompressFormat,
): CompactWeight {
  requireLength('compressWeight', 'the weight', values.length, outFeatures * inFeatures);
  const toHalf = openHalf();
  switch (format) {
    case 'f16': {
      // `from` with a function would first make a list of all values, and take many times as long.
      const halves = new Uint16Array(values.length);
      for (let i = 0; i < halves.length; i++) halves[i] = toHalf(values[i]!);
      return { format, values: halves };
    }
    case 'int8': {
      const scales = Float32Array.from({ length: outFeatures }, (_, row) => {
        const largest = largestOf(values.subarray(row * inFeatures, (row + 1) * inFeatures));
        return largest / 127;
      });
      const rounded = new Int8Array(values.length);
      for (let row = 0, i = 0; row < outFeatures; row++) {
        const scale = scales[row]!;
        for (const end = i + inFeatures; i < end; i++)
          rounded[i] = scale === 0 ? 0 : Math.round(values[i]! / scale);
      }
      return { format, values: rounded, scales };
    }
    case 'q8_0':
    case 'q4_0':
    case 'q4_1': {
      if (inFeatures % 32 !== 0)
        throw new KernelsError(
          'KERNELS_FORMAT_UNSUITABLE',
          'compressWeight',
          `rows of ${inFeatures} do not divide into ${format} blocks of 32; f16 takes any size`,
        );
      const { bytes } = blockShapes[format];
      const blocks = new Uint8Array((values.length / 32) * bytes);
      for (let block = 0; block < values.length / 32; block++)
        writeBlock(
          values.subarray(block * 32, (block + 1) * 32),
          blocks.subarray(block * bytes, (block + 1) * bytes),
          { format, toHalf },
        );
      return { format, blocks };
    }
    default:
      return format satisfies never;
  }
}

/** q8_0: d = the largest size / 127, q = value / d. q4_0: d = the value of largest size / −8, q = value / d + 8. q4_1: d = (max − min) / 15, m = min. */
function writeBlock(
  values: Float32Array,
  to: Uint8Array,
  { format, toHalf }: { format: 'q8_0' | 'q4_0' | 'q4_1'; toHalf: (value: number) => number },
): void {
  const view = new DataView(to.buffer, to.byteOffset, to.byteLength);
  if (format === 'q8_0') {
    const d = largestOf(values) / 127;
    view.setUint16(0, toHalf(d), true);
    for (const [i, value] of values.entries()) view.setInt8(2 + i, d === 0 ? 0 : Math.round(value / d));
    return;
  }
  let offset: number;
  let scale: number;
  if (format === 'q4_0') {
    const extreme = values.reduce((most, value) => (Math.abs(value) > Math.abs(most) ? value : most), 0);
    scale = extreme / -8;
    offset = -8 * scale;
  } else {
    offset = Math.min(...values);
    scale = (Math.max(...values) - offset) / 15;
  }
  view.setUint16(0, toHalf(scale), true);
  if (format === 'q4_1') view.setUint16(2, toHalf(offset), true);
  const digit = (value: number) =>
    scale === 0 ? 0 : Math.min(15, Math.max(0, Math.round((value - offset) / scale)));
  const start = format === 'q4_0' ? 2 : 4;
  for (let i = 0; i < 16; i++) to[start + i] = digit(values[i]!) | (digit(values[i + 16]!) << 4);
}

function largestOf(values: Float32Array): number {
  let largest = 0;
  for (const value of values) largest = Math.max(largest, Math.abs(value));
  return largest;
}

/** A function to the nearest half-precision number, ties to even. */
function openHalf(): (value: number) => number {
  const float = new Float32Array(1);
  const word = new Uint32Array(float.buffer);
  return (value) => {
    float[0] = value;
    const bits = word[0]!;
    const sign = (bits >>> 16) & 0x8000;
    const magnitude = bits & 0x7fffffff;
    if (magnitude >= 0x477ff000)
      throw new KernelsError(
        'KERNELS_FORMAT_UNSUITABLE',
        'compressWeight',
        `${value} is too large for f16; keep this weight in float32`,
      );
    if (magnitude < 0x38800000) {
      // Subnormal: a multiple of 2⁻²⁴.
      const multiple = Math.abs(value) * 2 ** 24;
      const floor = Math.floor(multiple);
      const rest = multiple - floor;
      return sign | (rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor);
    }
    const rebased = magnitude - 0x38000000;
    return sign | ((rebased + 0xfff + ((rebased >>> 13) & 1)) >>> 13);
  };
}
