/** Compact weights for tests: random ones of every format, and their values by definition. */
import { compactFormats, compressWeight, type CompactFormat, type CompactWeight } from '@contextlora/kernels';

import { randomMatrix } from './tensors.js';

export const formatNames = Object.keys(compactFormats) as CompactFormat[];

/** A row length that a format divides. */
export const columnsOf = (format: CompactFormat): number => Math.max(32, compactFormats[format].blockValues);

/** The halves in each block of the formats that only files have, set to 2⁻⁸ and 2⁻⁹ to keep the values small. */
const halves = {
  q4_K: { at: 0, bytes: [0x00, 0x1c, 0x00, 0x18] },
  q5_1: { at: 0, bytes: [0x00, 0x1c, 0x00, 0x18] },
  q5_K: { at: 0, bytes: [0x00, 0x1c, 0x00, 0x18] },
  q6_K: { at: 208, bytes: [0x00, 0x14] },
} as const;

/** A random weight in a format. */
export function compactOf(format: CompactFormat, rows: number, columns: number, seed: number): CompactWeight {
  switch (format) {
    case 'q4_K':
    case 'q5_1':
    case 'q5_K':
    case 'q6_K': {
      const { blockValues: values, blockBytes: bytes } = compactFormats[format];
      const blocks = Uint8Array.from(
        randomMatrix(1, (rows * columns * bytes) / values, seed).values,
        (value) => ((value + 1.2) / 2.4) * 255,
      );
      for (let at = 0; at < blocks.length; at += bytes)
        blocks.set(halves[format].bytes, at + halves[format].at);
      return { format, blocks };
    }
    default:
      return compressWeight(
        Float32Array.from(randomMatrix(rows, columns, seed).values),
        rows,
        columns,
        format,
      );
  }
}

/** One value of a weight, from GGUF's description of the blocks. */
export function naiveValue(weight: CompactWeight, columns: number, index: number): number {
  const half = (bytes: Uint8Array, at: number) => {
    const bits = (bytes[at] ?? NaN) + 256 * (bytes[at + 1] ?? NaN);
    const sign = bits >= 0x8000 ? -1 : 1;
    const exponent = Math.floor(bits / 1024) % 32;
    const fraction = (bits % 1024) / 1024;
    return sign * (exponent === 0 ? fraction * 2 ** -14 : (1 + fraction) * 2 ** (exponent - 15));
  };
  if (weight.format === 'f16')
    return half(new Uint8Array(weight.values.buffer, weight.values.byteOffset + index * 2, 2), 0);
  if (weight.format === 'int8')
    return (weight.values[index] ?? NaN) * (weight.scales[Math.floor(index / columns)] ?? NaN);
  const { blocks, format } = weight;
  const shape = compactFormats[format];
  const at = Math.floor(index / shape.blockValues) * shape.blockBytes;
  const within = index % shape.blockValues;
  const byte = (place: number) => blocks[at + place] ?? NaN;
  const nibble = (place: number, high: boolean) => Math.floor(byte(place) / (high ? 16 : 1)) % 16;
  const bitsOf = (place: number, first: number, count: number) =>
    Math.floor(byte(place) / 2 ** first) % 2 ** count;
  const signed = (value: number) => (value < 128 ? value : value - 256);
  const d = half(blocks, at);
  switch (format) {
    case 'q8_0':
      return d * signed(byte(2 + within));
    case 'q4_0':
      return d * (nibble(2 + (within % 16), within >= 16) - 8);
    case 'q4_1':
      return d * nibble(4 + (within % 16), within >= 16) + half(blocks, at + 2);
    case 'q5_1': {
      const fifth = bitsOf(4 + Math.floor(within / 8), within % 8, 1);
      return d * (nibble(8 + (within % 16), within >= 16) + 16 * fifth) + half(blocks, at + 2);
    }
    case 'q4_K':
    case 'q5_K': {
      const group = Math.floor(within / 32);
      const low6 = (place: number) => bitsOf(4 + place, 0, 6);
      const six = (place: number, first: number) =>
        bitsOf(4 + group + 4, first, 4) + 16 * bitsOf(4 + place, 6, 2);
      const scale = group < 4 ? low6(group) : six(group - 4, 0);
      const minimum = group < 4 ? low6(group + 4) : six(group, 4);
      const fifth = format === 'q5_K' ? bitsOf(16 + (within % 32), group, 1) : 0;
      const start = format === 'q5_K' ? 48 : 16;
      const q = nibble(start + Math.floor(group / 2) * 32 + (within % 32), group % 2 === 1) + 16 * fifth;
      return d * scale * q - half(blocks, at + 2) * minimum;
    }
    case 'q6_K': {
      const [side, quarter, place] = [Math.floor(within / 128), Math.floor(within / 32) % 4, within % 32];
      const low = nibble(64 * side + 32 * (quarter % 2) + place, quarter >= 2);
      const high = bitsOf(128 + 32 * side + place, 2 * quarter, 2);
      const scale = signed(byte(192 + 8 * side + 2 * quarter + Math.floor(place / 16)));
      return half(blocks, at + 208) * scale * (low + 16 * high - 32);
    }
    default:
      return format satisfies never;
  }
}
