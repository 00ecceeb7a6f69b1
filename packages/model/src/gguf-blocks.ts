/**
 * The tensor types of GGUF files that can be read: how their values are packed, and the packed values in float32.
 *
 * Layouts as in ggml (ggml-common.h, ggml-quants.c). Blocks follow the last axis and never cross a row.
 */

interface BlockType {
  readonly name: string;
  /** Values of one block. */
  readonly values: number;
  /** Bytes of one block. */
  readonly bytes: number;
  readonly expand: (blocks: Uint8Array, target: Float32Array, half: Float32Array) => void;
}

/** By ggml's number of the type. */
export const ggufTypes: ReadonlyMap<number, BlockType> = new Map<number, BlockType>([
  [0, { name: 'f32', values: 1, bytes: 4, expand: expandFloat }],
  [1, { name: 'f16', values: 1, bytes: 2, expand: expandHalf }],
  [2, { name: 'q4_0', values: 32, bytes: 18, expand: expandQ40 }],
  [3, { name: 'q4_1', values: 32, bytes: 20, expand: expandQ41 }],
  [6, { name: 'q5_0', values: 32, bytes: 22, expand: expandQ50 }],
  [7, { name: 'q5_1', values: 32, bytes: 24, expand: expandQ51 }],
  [8, { name: 'q8_0', values: 32, bytes: 34, expand: expandQ80 }],
  [12, { name: 'q4_K', values: 256, bytes: 144, expand: expandQ4K }],
  [13, { name: 'q5_K', values: 256, bytes: 176, expand: expandQ5K }],
  [14, { name: 'q6_K', values: 256, bytes: 210, expand: expandQ6K }],
  [30, { name: 'bf16', values: 1, bytes: 2, expand: expandBrain }],
]);

/** Names of types that exist and are not read, for messages. */
export const otherGgufTypes: Readonly<Record<number, string>> = {
  9: 'q8_1',
  10: 'q2_K',
  11: 'q3_K',
  15: 'q8_K',
  16: 'iq2_xxs',
  17: 'iq2_xs',
  18: 'iq3_xxs',
  19: 'iq1_s',
  20: 'iq4_nl',
  21: 'iq3_s',
  22: 'iq2_s',
  23: 'iq4_xs',
  24: 'i8',
  25: 'i16',
  26: 'i32',
  27: 'i64',
  28: 'f64',
  29: 'iq1_m',
  34: 'tq1_0',
  35: 'tq2_0',
  39: 'mxfp4',
};

/** Every half-precision number as float32: (−1)^s · 2^(e − 15) · 1.f, or 2^−14 · 0.f. */
export function halfTable(): Float32Array {
  return Float32Array.from({ length: 65_536 }, (_, bits) => {
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    const size =
      exponent === 0
        ? fraction * 2 ** -24
        : exponent === 31
          ? fraction === 0
            ? Infinity
            : NaN
          : (1024 + fraction) * 2 ** (exponent - 25);
    return bits & 0x8000 ? -size : size;
  });
}

const wordAt = (bytes: Uint8Array, at: number) => bytes[at]! | (bytes[at + 1]! << 8);

function expandFloat(blocks: Uint8Array, target: Float32Array): void {
  new Uint8Array(target.buffer, target.byteOffset, target.byteLength).set(blocks);
}

export function expandHalf(blocks: Uint8Array, target: Float32Array, half: Float32Array): void {
  for (let i = 0; i < target.length; i++) target[i] = half[wordAt(blocks, 2 * i)]!;
}

/** The upper half of a float32. */
export function expandBrain(blocks: Uint8Array, target: Float32Array): void {
  const words = new Uint32Array(target.buffer, target.byteOffset, target.length);
  for (let i = 0; i < words.length; i++) words[i] = wordAt(blocks, 2 * i) << 16;
}

/** d (q − 8) */
function expandQ40(blocks: Uint8Array, target: Float32Array, half: Float32Array): void {
  for (let at = 0, to = 0; to < target.length; at += 18, to += 32) {
    const d = half[wordAt(blocks, at)]!;
    for (let i = 0; i < 16; i++) {
      const packed = blocks[at + 2 + i]!;
      target[to + i] = d * ((packed & 15) - 8);
      target[to + i + 16] = d * ((packed >> 4) - 8);
    }
  }
}

/** d q + m */
function expandQ41(blocks: Uint8Array, target: Float32Array, half: Float32Array): void {
  for (let at = 0, to = 0; to < target.length; at += 20, to += 32) {
    const d = half[wordAt(blocks, at)]!;
    const m = half[wordAt(blocks, at + 2)]!;
    for (let i = 0; i < 16; i++) {
      const packed = blocks[at + 4 + i]!;
      target[to + i] = d * (packed & 15) + m;
      target[to + i + 16] = d * (packed >> 4) + m;
    }
  }
}

/** d (q − 16); the fifth bits of all 32 lie together. */
function expandQ50(blocks: Uint8Array, target: Float32Array, half: Float32Array): void {
  for (let at = 0, to = 0; to < target.length; at += 22, to += 32) {
    const d = half[wordAt(blocks, at)]!;
    const high = wordAt(blocks, at + 2) | (wordAt(blocks, at + 4) << 16);
    for (let i = 0; i < 16; i++) {
      const packed = blocks[at + 6 + i]!;
      target[to + i] = d * (((packed & 15) | (((high >>> i) & 1) << 4)) - 16);
      target[to + i + 16] = d * (((packed >> 4) | (((high >>> (i + 16)) & 1) << 4)) - 16);
    }
  }
}

/** The same numbers as q8_0, which kernels can keep: d q' with the signed byte q' = q − 16, 34 bytes for 22. */
export function q80FromQ50(blocks: Uint8Array): Uint8Array {
  const result = new Uint8Array((blocks.length / 22) * 34);
  for (let at = 0, to = 0; at < blocks.length; at += 22, to += 34) {
    result.set(blocks.subarray(at, at + 2), to);
    const high = wordAt(blocks, at + 2) | (wordAt(blocks, at + 4) << 16);
    for (let i = 0; i < 16; i++) {
      const packed = blocks[at + 6 + i]!;
      result[to + 2 + i] = ((packed & 15) | (((high >>> i) & 1) << 4)) - 16;
      result[to + 18 + i] = ((packed >> 4) | (((high >>> (i + 16)) & 1) << 4)) - 16;
    }
  }
  return result;
}

/** d q + m with five bits */
function expandQ51(blocks: Uint8Array, target: Float32Array, half: Float32Array): void {
  for (let at = 0, to = 0; to < target.length; at += 24, to += 32) {
    const d = half[wordAt(blocks, at)]!;
    const m = half[wordAt(blocks, at + 2)]!;
    const high = wordAt(blocks, at + 4) | (wordAt(blocks, at + 6) << 16);
    for (let i = 0; i < 16; i++) {
      const packed = blocks[at + 8 + i]!;
      target[to + i] = d * ((packed & 15) | (((high >>> i) & 1) << 4)) + m;
      target[to + i + 16] = d * ((packed >> 4) | (((high >>> (i + 16)) & 1) << 4)) + m;
    }
  }
}

/** d q */
function expandQ80(blocks: Uint8Array, target: Float32Array, half: Float32Array): void {
  for (let at = 0, to = 0; to < target.length; at += 34, to += 32) {
    const d = half[wordAt(blocks, at)]!;
    for (let i = 0; i < 32; i++) target[to + i] = d * ((blocks[at + 2 + i]! << 24) >> 24);
  }
}

/** Scale and minimum of one of a K-block's eight groups of 32, six bits each; `at` is where the 12 bytes of them begin. */
function scaleOf(blocks: Uint8Array, at: number, group: number): number {
  return group < 4
    ? blocks[at + group]! & 63
    : (blocks[at + group + 4]! & 15) | ((blocks[at + group - 4]! >> 6) << 4);
}
function minimumOf(blocks: Uint8Array, at: number, group: number): number {
  return group < 4
    ? blocks[at + group + 4]! & 63
    : (blocks[at + group + 4]! >> 4) | ((blocks[at + group]! >> 6) << 4);
}

/** d · scale · q − dmin · minimum */
function expandQ4K(blocks: Uint8Array, target: Float32Array, half: Float32Array): void {
  for (let at = 0, to = 0; to < target.length; at += 144, to += 256) {
    for (let group = 0; group < 8; group++) {
      const d = half[wordAt(blocks, at)]! * scaleOf(blocks, at + 4, group);
      const m = half[wordAt(blocks, at + 2)]! * minimumOf(blocks, at + 4, group);
      const from = at + 16 + (group >> 1) * 32;
      const shift = (group & 1) * 4;
      for (let i = 0; i < 32; i++) target[to + group * 32 + i] = d * ((blocks[from + i]! >> shift) & 15) - m;
    }
  }
}

/** As q4_K with a fifth bit: group g's is bit g of 32 bytes. */
function expandQ5K(blocks: Uint8Array, target: Float32Array, half: Float32Array): void {
  for (let at = 0, to = 0; to < target.length; at += 176, to += 256) {
    for (let group = 0; group < 8; group++) {
      const d = half[wordAt(blocks, at)]! * scaleOf(blocks, at + 4, group);
      const m = half[wordAt(blocks, at + 2)]! * minimumOf(blocks, at + 4, group);
      const from = at + 48 + (group >> 1) * 32;
      const shift = (group & 1) * 4;
      for (let i = 0; i < 32; i++) {
        const high = (blocks[at + 16 + i]! >> group) & 1;
        target[to + group * 32 + i] = d * (((blocks[from + i]! >> shift) & 15) | (high << 4)) - m;
      }
    }
  }
}

/** d · scale · (q − 32), sixteen groups of 16; 128 bytes of low four bits, 64 of high two, 16 scales, d. */
function expandQ6K(blocks: Uint8Array, target: Float32Array, half: Float32Array): void {
  for (let at = 0, to = 0; to < target.length; at += 210, to += 256) {
    const d = half[wordAt(blocks, at + 208)]!;
    for (let i = 0; i < 256; i++) {
      // Value i lies in half i >> 7, there in quarter (i >> 5) & 3 at place i & 31.
      const [side, quarter, place] = [i >> 7, (i >> 5) & 3, i & 31];
      const low = blocks[at + side * 64 + (quarter & 1) * 32 + place]! >> ((quarter >> 1) * 4);
      const high = blocks[at + 128 + side * 32 + place]! >> (quarter * 2);
      const scale = (blocks[at + 192 + (i >> 4)]! << 24) >> 24;
      target[to + i] = d * scale * (((low & 15) | ((high & 3) << 4)) - 32);
    }
  }
}
