/**
 * The tensor types of GGUF files that can be read: their layout and their values in float32.
 *
 * Layouts as in ggml (ggml-common.h, ggml-quants.c). Blocks follow the last axis and never cross a row.
 */
import { type BlockFormat, compactFormats, type CompactWeight, expandWeight } from '@contextlora/kernels';
import { halfToFloat } from '@contextlora/lora/safetensors';

interface BlockType {
  readonly name: string;
  /** Values per block. */
  readonly values: number;
  /** Bytes per block. */
  readonly bytes: number;
  readonly expand: (blocks: Uint8Array, target: Float32Array, half: Float32Array) => void;
  /** Converts to blocks of exactly the same numbers that kernels keep. */
  readonly keep?: (blocks: Uint8Array) => CompactBlocks;
}

type CompactBlocks = Extract<CompactWeight, { format: BlockFormat }>;

/** The bytes of a block at which half-precision scales begin; all else in blocks is integers. */
const scales: Readonly<Record<BlockFormat, readonly number[]>> = {
  q8_0: [0],
  q4_0: [0],
  q4_1: [0, 2],
  q5_1: [0, 2],
  q4_K: [0, 2],
  q5_K: [0, 2],
  q6_K: [208],
};

/** The indices of the blocks that have a scale which is NaN or infinite. */
export function blocksNotFinite({ format, blocks }: CompactBlocks): number[] {
  const { blockBytes } = compactFormats[format];
  const found: number[] = [];
  for (const offset of scales[format])
    for (let at = offset + 1, block = 0; at < blocks.length; at += blockBytes, block++)
      if ((blocks[at]! & 0x7c) === 0x7c && found.at(-1) !== block) found.push(block);
  return found;
}

/** A type that kernels keep in the same blocks, or in others of the same numbers. */
function blockType(
  { name, blockValues, blockBytes }: { name: string; blockValues: number; blockBytes: number },
  keep: (blocks: Uint8Array) => CompactBlocks,
): BlockType {
  return {
    name,
    values: blockValues,
    bytes: blockBytes,
    keep,
    expand: (blocks, target) => {
      const kept = keep(blocks);
      expandWeight(kept, 1, target.length, target);
      // Kernels have no such scales: they would make numbers of them.
      const { blockValues: values } = compactFormats[kept.format];
      for (const block of blocksNotFinite(kept)) target.fill(NaN, block * values, (block + 1) * values);
    },
  };
}
const sameBlocks = (format: BlockFormat) =>
  blockType(compactFormats[format], (blocks) => ({ format, blocks }));

/** Types by ggml's number. */
export const ggufTypes: ReadonlyMap<number, BlockType> = new Map<number, BlockType>([
  [0, { name: 'f32', values: 1, bytes: 4, expand: expandFloat }],
  [1, { name: 'f16', values: 1, bytes: 2, expand: expandHalf }],
  [2, sameBlocks('q4_0')],
  [3, sameBlocks('q4_1')],
  [
    6,
    blockType({ name: 'q5_0', blockValues: 32, blockBytes: 22 }, (blocks) => ({
      format: 'q8_0',
      blocks: q80FromQ50(blocks),
    })),
  ],
  [7, sameBlocks('q5_1')],
  [8, sameBlocks('q8_0')],
  [12, sameBlocks('q4_K')],
  [13, sameBlocks('q5_K')],
  [14, sameBlocks('q6_K')],
  [30, { name: 'bf16', values: 1, bytes: 2, expand: expandBrain }],
]);

/** Names of the types that are not read, for messages. */
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

/** Every half-precision number as float32, by its bits. */
export const halfTable = (): Float32Array =>
  Float32Array.from({ length: 65_536 }, (_, bits) => halfToFloat(bits));

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

/** Converts q5_0, d (q − 16) with all fifth bits in one word, to q8_0, d q' with the signed byte q' = q − 16: 34 bytes for 22. */
function q80FromQ50(blocks: Uint8Array): Uint8Array {
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
