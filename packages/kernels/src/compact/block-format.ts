/** What formats in blocks have in common. The blocks are those of GGUF files (ggml-common.h) and never cross a row. */
import { KernelsError } from '../kernels-error.js';
import { copyToHeap } from './copy-to-heap.js';
import { openHalfRounding } from './half.js';
import { requireElements } from './require-elements.js';
import type { ResidentLayout } from './resident-layouts.js';
import type { EncodableFormat, ResidentMemory, WeightFormat, WeightShape } from './weight-format.js';

export interface BlockWeight<Name extends string> {
  readonly format: Name;
  readonly blocks: Uint8Array;
}

interface BlockDefinition<Name extends string> {
  readonly name: Name;
  readonly blockValues: number;
  readonly blockBytes: number;
  /** The values of whole blocks, in plain loops. */
  readonly decode: (blocks: Uint8Array, values: Float32Array) => void;
  /** The wasm function that does the same. */
  readonly expansion:
    'expandQ80' | 'expandQ40' | 'expandQ41' | 'expandQ4K' | 'expandQ51' | 'expandQ5K' | 'expandQ6K';
  readonly layout: ResidentLayout;
  readonly arrange: (blocks: Uint8Array, shape: WeightShape, to: ResidentMemory) => void;
}

export function blockFormat<Name extends string>({
  name,
  blockValues,
  blockBytes,
  decode,
  expansion,
  layout,
  arrange,
}: BlockDefinition<Name>): WeightFormat<BlockWeight<Name>> {
  return {
    name,
    blockValues,
    blockBytes,
    rowOverheadBytes: 0,
    layout,
    check({ blocks }, shape) {
      const { outFeatures, inFeatures } = shape;
      if (inFeatures % blockValues !== 0)
        throw new KernelsError(
          'KERNELS_FORMAT_UNSUITABLE',
          'prepareLinear',
          `rows of ${inFeatures} do not divide into ${name} blocks of ${blockValues}; keep this weight in f16`,
        );
      const expected = ((outFeatures * inFeatures) / blockValues) * blockBytes;
      requireElements(`the blocks of a ${name} weight`, blocks.length, expected, shape);
    },
    decode({ blocks }, _inFeatures, values) {
      decode(blocks, values);
    },
    expandRows({ blocks }, { inFeatures, first, end }, { heap, module, target, room }) {
      const perRow = (inFeatures / blockValues) * blockBytes;
      const part = blocks.subarray(first * perRow, end * perRow);
      const source = copyToHeap(heap, part, room(part.byteLength));
      module[expansion](source, target, ((end - first) * inFeatures) / blockValues);
    },
    arrange({ blocks }, shape, to) {
      arrange(blocks, shape, to);
    },
  };
}

/** The same with a function that writes one block; it is given a function to the nearest half. */
export function encodableBlockFormat<Name extends string>({
  encodeBlock,
  ...definition
}: BlockDefinition<Name> & {
  readonly encodeBlock: (values: Float32Array, block: Uint8Array, toHalf: (value: number) => number) => void;
}): EncodableFormat<BlockWeight<Name>> {
  const { name, blockValues, blockBytes } = definition;
  return {
    ...blockFormat(definition),
    encode(values, { inFeatures }) {
      if (inFeatures % blockValues !== 0)
        throw new KernelsError(
          'KERNELS_FORMAT_UNSUITABLE',
          'compressWeight',
          `rows of ${inFeatures} do not divide into ${name} blocks of ${blockValues}; f16 takes any size`,
        );
      const toHalf = openHalfRounding();
      const blocks = new Uint8Array((values.length / blockValues) * blockBytes);
      for (let block = 0; block < values.length / blockValues; block++)
        encodeBlock(
          values.subarray(block * blockValues, (block + 1) * blockValues),
          blocks.subarray(block * blockBytes, (block + 1) * blockBytes),
          toHalf,
        );
      return { format: name, blocks };
    },
  };
}

/** Arranges blocks that stay as they are. */
export function copyBlocks(blocks: Uint8Array, _shape: WeightShape, { bytes }: ResidentMemory): void {
  bytes.set(blocks);
}
