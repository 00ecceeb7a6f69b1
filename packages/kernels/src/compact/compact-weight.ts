/** Base weights in fewer bytes than float32: what they are, how many bytes they have, and making them. */
import { KernelsError } from '../kernels-error.js';
/** Row-major `[out, in]` in one of nine formats; the blocks are laid out as in GGUF files and never cross a row. */
export type CompactWeight =
  | { readonly format: 'f16'; readonly values: Uint16Array }
  /** value = scale of its row · q */
  | { readonly format: 'int8'; readonly values: Int8Array; readonly scales: Float32Array }
  | { readonly format: BlockFormat; readonly blocks: Uint8Array };

export type CompactFormat = CompactWeight['format'];
/** Formats in blocks. */
export type BlockFormat = keyof typeof blockShapes;

/** Values and bytes of one block. */
export const blockShapes = {
  q8_0: { values: 32, bytes: 34 },
  q4_0: { values: 32, bytes: 18 },
  q4_1: { values: 32, bytes: 20 },
  q4_K: { values: 256, bytes: 144 },
  q5_1: { values: 32, bytes: 24 },
  q5_K: { values: 256, bytes: 176 },
  q6_K: { values: 256, bytes: 210 },
} as const;

/** Throws unless a compact weight has the size of its shape. */
export function requireCompact(weight: CompactWeight, outFeatures: number, inFeatures: number): void {
  const count = outFeatures * inFeatures;
  const wrong = (what: string, actual: number, expected: number) =>
    new KernelsError(
      'KERNELS_OPERAND_MISMATCH',
      'prepareLinear',
      `${what} of a ${weight.format} weight [${outFeatures}, ${inFeatures}] must have ${expected} elements, got ${actual}`,
    );
  switch (weight.format) {
    case 'f16': {
      if (weight.values.length !== count) throw wrong('the values', weight.values.length, count);
      const odd = weight.values.findIndex((half) => (half & 0x7c00) === 0x7c00);
      if (odd >= 0)
        throw new KernelsError(
          'KERNELS_FORMAT_UNSUITABLE',
          'prepareLinear',
          `value ${odd} of an f16 weight is not a finite number`,
        );
      return;
    }
    case 'int8':
      if (weight.values.length !== count) throw wrong('the values', weight.values.length, count);
      if (weight.scales.length !== outFeatures) throw wrong('the scales', weight.scales.length, outFeatures);
      return;
    default: {
      const { values, bytes } = blockShapes[weight.format];
      if (inFeatures % values !== 0)
        throw new KernelsError(
          'KERNELS_FORMAT_UNSUITABLE',
          'prepareLinear',
          `rows of ${inFeatures} do not divide into ${weight.format} blocks of ${values}; keep this weight in f16`,
        );
      const expected = (count / values) * bytes;
      if (weight.blocks.length !== expected) throw wrong('the blocks', weight.blocks.length, expected);
    }
  }
}
