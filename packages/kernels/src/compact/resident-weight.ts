/**
 * Compact weights on the heap, as decoding multiplies them: there from the first product with few rows on, instead of outside.
 *
 * 4-bit formats become one layout (per row the scales, the minima, then 16 bytes for every 32 numbers: 6 bits a number), 8-bit ones another
 * (scales, then bytes: 9 bits a number); halves and the formats of five and six bits stay as they are.
 */
import { blockShapes, type CompactWeight } from './compact-weight.js';
import { groupScales256, halfAt } from './expand-weight.js';
import { KernelsError } from '../kernels-error.js';
import type { WasmHeap } from '../wasm/heap.js';

/** Formats in blocks whose numbers do not fit the integer products of the others. */
export type WideFormat = 'q5_1' | 'q5_K' | 'q6_K';

export interface ResidentWeight {
  readonly layout: 'bits4' | 'bits8' | 'f16' | WideFormat;
  readonly address: number;
  /** Of one row of W. */
  readonly rowBytes: number;
}

const layouts = {
  f16: 'f16',
  int8: 'bits8',
  q8_0: 'bits8',
  q4_0: 'bits4',
  q4_1: 'bits4',
  q4_K: 'bits4',
  q5_1: 'q5_1',
  q5_K: 'q5_K',
  q6_K: 'q6_K',
} as const satisfies Record<CompactWeight['format'], ResidentWeight['layout']>;

/** Copies a weight to the heap, or says that it cannot lie there: its rows do not divide into 32s, or there is no room. */
export function makeResident(
  heap: WasmHeap,
  weight: CompactWeight,
  outFeatures: number,
  inFeatures: number,
): ResidentWeight | undefined {
  const layout = layouts[weight.format];
  if (layout !== 'f16' && inFeatures % 32 !== 0) return undefined;
  const blocks = inFeatures / 32;
  const perBlock = (format: WideFormat) =>
    (inFeatures / blockShapes[format].values) * blockShapes[format].bytes;
  const rowBytes = {
    ...{ f16: inFeatures * 2, bits4: blocks * 24, bits8: blocks * 36 },
    ...{ q5_1: perBlock('q5_1'), q5_K: perBlock('q5_K'), q6_K: perBlock('q6_K') },
  }[layout];
  let address: number;
  try {
    address = heap.reserve(outFeatures * rowBytes);
  } catch (error) {
    if (error instanceof KernelsError && error.code === 'KERNELS_HEAP_FULL') return undefined;
    throw error;
  }
  const bytes = new Uint8Array(heap.memory.buffer, address, outFeatures * rowBytes);
  const floats = heap.floatsAt(address, (outFeatures * rowBytes) >> 2);
  switch (weight.format) {
    case 'f16':
      new Uint16Array(heap.memory.buffer, address, weight.values.length).set(weight.values);
      break;
    case 'int8':
      for (let row = 0; row < outFeatures; row++) {
        const at = row * rowBytes;
        floats.fill(weight.scales[row]!, at / 4, at / 4 + blocks);
        const values = weight.values.subarray(row * inFeatures, (row + 1) * inFeatures);
        bytes.set(new Uint8Array(values.buffer, values.byteOffset, inFeatures), at + blocks * 4);
      }
      break;
    case 'q8_0':
      for (let i = 0; i < outFeatures * blocks; i++) {
        const [row, block] = [Math.floor(i / blocks), i % blocks];
        floats[(row * rowBytes) / 4 + block] = halfAt(weight.blocks, i * 34);
        bytes.set(weight.blocks.subarray(i * 34 + 2, (i + 1) * 34), row * rowBytes + blocks * 4 + block * 32);
      }
      break;
    case 'q4_0':
    case 'q4_1': {
      const size = blockShapes[weight.format].bytes;
      for (let i = 0; i < outFeatures * blocks; i++) {
        const [row, block] = [Math.floor(i / blocks), i % blocks];
        const d = halfAt(weight.blocks, i * size);
        const at = (row * rowBytes) / 4 + block;
        floats[at] = d;
        floats[at + blocks] = size === 18 ? -8 * d : halfAt(weight.blocks, i * size + 2);
        bytes.set(
          weight.blocks.subarray((i + 1) * size - 16, (i + 1) * size),
          row * rowBytes + blocks * 8 + block * 16,
        );
      }
      break;
    }
    case 'q4_K':
      for (let i = 0; i < (outFeatures * blocks) / 8; i++) {
        const [row, first] = [Math.floor(i / (blocks / 8)), (i % (blocks / 8)) * 8];
        for (let group = 0; group < 8; group++) {
          const { scale, minimum } = groupScales256(weight.blocks, i * 144, group);
          const at = (row * rowBytes) / 4 + first + group;
          floats[at] = scale;
          floats[at + blocks] = -minimum;
          const to = row * rowBytes + blocks * 8 + (first + group) * 16;
          const from = i * 144 + 16 + (group >> 1) * 32;
          const shift = group % 2 === 0 ? 0 : 4;
          for (let j = 0; j < 16; j++) {
            const [low, high] = [weight.blocks[from + j]!, weight.blocks[from + j + 16]!];
            bytes[to + j] = ((low >> shift) & 15) | (((high >> shift) & 15) << 4);
          }
        }
      }
      break;
    case 'q5_1':
    case 'q5_K':
    case 'q6_K':
      bytes.set(weight.blocks);
      break;
    default:
      weight satisfies never;
  }
  return { layout, address, rowBytes };
}
