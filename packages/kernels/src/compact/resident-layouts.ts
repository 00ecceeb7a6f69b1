/**
 * How compact weights lie on the heap while decoding multiplies them. A product of a few rows reads every weight once and expands
 * nothing to memory.
 */
import type { WasmModule } from '../wasm/module.js';

/** y = x Wᵀ with x `[rows, in]`, W `[out, in]` and y `[rows, out]` at addresses of the heap. */
interface ResidentProduct {
  readonly x: number;
  readonly w: number;
  readonly y: number;
  readonly rows: number;
  readonly outFeatures: number;
  readonly inFeatures: number;
  readonly rowBytes: number;
}

export interface ResidentLayout {
  /** Rows of W must divide into this many values. */
  readonly rowMultiple: number;
  /** Bytes of one row of W. */
  rowBytes(inFeatures: number): number;
  multiply(product: ResidentProduct, module: WasmModule, room: (bytes: number) => number): void;
  /** Expands rows of W to float32 at another address. */
  expand(
    source: number,
    target: number,
    rows: { readonly count: number; readonly inFeatures: number },
    module: WasmModule,
  ): void;
}

/** Two bytes per value. */
export const halves: ResidentLayout = {
  rowMultiple: 1,
  rowBytes: (inFeatures) => inFeatures * 2,
  multiply({ x, w, y, rows, outFeatures, inFeatures }, module) {
    module.vectorProductF16(x, w, y, rows, outFeatures, inFeatures);
  },
  expand(source, target, { count, inFeatures }, module) {
    module.expandHalf(source, target, count * inFeatures);
  },
};

/** w = d q + m: per row the scales d, the minima m (a float for every 32 values), then 16 bytes for every 32; 6 bits per value. */
export const bits4: ResidentLayout = {
  rowMultiple: 32,
  rowBytes: (inFeatures) => (inFeatures / 32) * 24,
  multiply(product, module, room) {
    const { w, y, rows, outFeatures, inFeatures } = product;
    const { arranged, sums } = arrangeInputs(product, 4, module, room);
    module.vectorProduct4(arranged, sums, w, y, rows, outFeatures, inFeatures / 32);
  },
  expand(source, target, { count, inFeatures }, module) {
    module.expand4(source, target, count, inFeatures / 32);
  },
};

/** w = d q: per row the scales d (a float for every 32 values), then a signed byte per value; 9 bits per value. */
export const bits8: ResidentLayout = {
  rowMultiple: 32,
  rowBytes: (inFeatures) => (inFeatures / 32) * 36,
  multiply(product, module, room) {
    const { w, y, rows, outFeatures, inFeatures } = product;
    const { arranged } = arrangeInputs(product, 8, module, room);
    module.vectorProduct8(arranged, w, y, rows, outFeatures, inFeatures / 32);
  },
  expand(source, target, { count, inFeatures }, module) {
    module.expand8(source, target, count, inFeatures / 32);
  },
};

/** Bytes that arrangeIntegers makes of 32 floats. */
const arrangedBytes = 144;

/** x as the integers that 4-bit and 8-bit products multiply, and the sum of every 32 values. */
function arrangeInputs(
  { x, rows, inFeatures }: ResidentProduct,
  bits: 4 | 8,
  module: WasmModule,
  room: (bytes: number) => number,
): { arranged: number; sums: number } {
  const blocks = (rows * inFeatures) / 32;
  const arranged = room(blocks * arrangedBytes + Math.ceil(blocks / 4) * 16);
  const sums = arranged + blocks * arrangedBytes;
  module.arrangeIntegers(x, arranged, sums, blocks, bits);
  return { arranged, sums };
}

/** Blocks as files have them, for values of five or six bits, which the integer products cannot take: one row at a time is expanded. */
export const storedBlocks = ({
  blockValues,
  blockBytes,
  expansion,
  productKind,
}: {
  readonly blockValues: number;
  readonly blockBytes: number;
  readonly expansion: 'expandQ51' | 'expandQ5K' | 'expandQ6K';
  /** The module's number of the format, in `vectorProductBlocks`. */
  readonly productKind: 0 | 1 | 2;
}): ResidentLayout => ({
  rowMultiple: blockValues,
  rowBytes: (inFeatures) => (inFeatures / blockValues) * blockBytes,
  multiply({ x, w, y, rows, outFeatures, inFeatures, rowBytes }, module, room) {
    const blocks = inFeatures / blockValues;
    module.vectorProductBlocks(
      ...[x, w, y, rows, outFeatures, inFeatures, blocks, rowBytes, productKind, room(inFeatures * 4)],
    );
  },
  expand(source, target, { count, inFeatures }, module) {
    module[expansion](source, target, (count * inFeatures) / blockValues);
  },
});
