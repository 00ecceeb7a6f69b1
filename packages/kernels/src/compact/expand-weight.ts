/** Compact weights expanded whole, in plain loops: for the reference backend and for whoever needs the numbers. */
import { type CompactWeight, requireCompact } from './compact-weight.js';
import { requireLength } from '../require-shape.js';

/** The float32 values `[out, in]` of a compact weight, in `values` where it is given. */
export function expandWeight(
  weight: CompactWeight,
  outFeatures: number,
  inFeatures: number,
  values: Float32Array = new Float32Array(outFeatures * inFeatures),
): Float32Array {
  requireCompact(weight, outFeatures, inFeatures);
  requireLength('expandWeight', 'the target', values.length, outFeatures * inFeatures);
  switch (weight.format) {
    case 'f16':
      for (let i = 0; i < values.length; i++) values[i] = halfToFloat(weight.values[i]!);
      return values;
    case 'int8':
      for (let i = 0; i < values.length; i++)
        values[i] = weight.values[i]! * weight.scales[Math.floor(i / inFeatures)]!;
      return values;
    case 'q8_0':
      return expandBytes32(weight.blocks, values);
    case 'q4_0':
      return expandBlocks32(weight.blocks, values, 18);
    case 'q4_1':
      return expandBlocks32(weight.blocks, values, 20);
    case 'q4_K':
      return expandBlocks256(weight.blocks, values, 144);
    case 'q5_K':
      return expandBlocks256(weight.blocks, values, 176);
    case 'q5_1':
      return expandFiveBits32(weight.blocks, values);
    case 'q6_K':
      return expandSixBits256(weight.blocks, values);
    default:
      return weight satisfies never;
  }
}

/** (−1)^s · 2^(e − 15) · 1.f, or 2^−14 · 0.f */
function halfToFloat(half: number): number {
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  const size = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
  return half & 0x8000 ? -size : size;
}

/** The half at a byte offset. */
export const halfAt = (bytes: Uint8Array, at: number) => halfToFloat(bytes[at]! | (bytes[at + 1]! << 8));

/** d q, q a signed byte. */
function expandBytes32(blocks: Uint8Array, values: Float32Array): Float32Array {
  for (let block = 0; block < blocks.length / 34; block++) {
    const d = halfAt(blocks, block * 34);
    for (let i = 0; i < 32; i++) values[block * 32 + i] = d * ((blocks[block * 34 + 2 + i]! << 24) >> 24);
  }
  return values;
}

/** q4_0 (18 bytes): d (q − 8); q4_1 (20 bytes): d q + m. */
function expandBlocks32(blocks: Uint8Array, values: Float32Array, bytes: 18 | 20): Float32Array {
  const zero = bytes === 18 ? 8 : 0;
  for (let block = 0; block < blocks.length / bytes; block++) {
    const at = block * bytes;
    const d = halfAt(blocks, at);
    // −0 added to −0 stays −0.
    const m = bytes === 18 ? -0 : halfAt(blocks, at + 2);
    for (let i = 0; i < 16; i++) {
      const packed = blocks[at + bytes - 16 + i]!;
      values[block * 32 + i] = d * ((packed & 15) - zero) + m;
      values[block * 32 + i + 16] = d * ((packed >> 4) - zero) + m;
    }
  }
  return values;
}

/** q5_1: d q + m; the fifth bits of all 32 lie together. */
function expandFiveBits32(blocks: Uint8Array, values: Float32Array): Float32Array {
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
  return values;
}

/**
 * d · scale · q − dmin · minimum, in eight groups of 32; a scale and a minimum have 6 bits each. In q5_K (176 bytes) the fifth bit of group g
 * is bit g of 32 bytes before the others.
 */
function expandBlocks256(blocks: Uint8Array, values: Float32Array, bytes: 144 | 176): Float32Array {
  const fifth = bytes - 144;
  for (let block = 0; block < blocks.length / bytes; block++) {
    const at = block * bytes;
    for (let group = 0; group < 8; group++) {
      const { scale, minimum } = groupScales256(blocks, at, group);
      for (let i = 0; i < 32; i++) {
        const packed = blocks[at + 16 + fifth + (group >> 1) * 32 + i]!;
        const low = group % 2 === 0 ? packed & 15 : packed >> 4;
        const high = fifth === 0 ? 0 : (blocks[at + 16 + i]! >> group) & 1;
        values[block * 256 + group * 32 + i] = scale * (low | (high << 4)) - minimum;
      }
    }
  }
  return values;
}

/** q6_K: d · scale · (q − 32), in sixteen groups of 16; 128 bytes of low four bits, 64 of high two, 16 scales, d. */
function expandSixBits256(blocks: Uint8Array, values: Float32Array): Float32Array {
  for (let block = 0; block < blocks.length / 210; block++) {
    const at = block * 210;
    const d = halfAt(blocks, at + 208);
    for (let i = 0; i < 256; i++) {
      // Value i lies in half i >> 7, there in quarter (i >> 5) & 3 at place i & 31.
      const [side, quarter, place] = [i >> 7, (i >> 5) & 3, i & 31];
      const low = blocks[at + side * 64 + (quarter & 1) * 32 + place]! >> ((quarter >> 1) * 4);
      const high = blocks[at + 128 + side * 32 + place]! >> (quarter * 2);
      const scale = (blocks[at + 192 + (i >> 4)]! << 24) >> 24;
      values[block * 256 + i] = d * scale * (((low & 15) | ((high & 3) << 4)) - 32);
    }
  }
  return values;
}

/** d · scale and dmin · minimum of one group of a block of 256. */
export function groupScales256(blocks: Uint8Array, at: number, group: number) {
  const byte = (i: number) => blocks[at + 4 + i]!;
  const [scale, minimum] =
    group < 4
      ? [byte(group) & 63, byte(group + 4) & 63]
      : [
          (byte(group + 4) & 15) | ((byte(group - 4) >> 6) << 4),
          (byte(group + 4) >> 4) | ((byte(group) >> 6) << 4),
        ];
  return { scale: halfAt(blocks, at) * scale, minimum: halfAt(blocks, at + 2) * minimum };
}
