/** Products of a few rows with resident weights: every weight is read once, and nothing is expanded. */
import type { Tensor2D } from '@tensorflow/tfjs-core';

import { blockShapes } from '../compact/compact-weight.js';
import type { FusedContext } from './context.js';
import type { ResidentWeight, WideFormat } from '../compact/resident-weight.js';

/** From so many rows on, expanding a weight and a matrix product is faster. */
export const vectorRows = 4;

/** Adds a bias to every row. */
export function addBias(rows: Float32Array, bias: Float32Array): void {
  for (let i = 0; i < rows.length; i++) rows[i]! += bias[i % bias.length]!;
}

/** Bytes that arrangeIntegers makes of 32 floats. */
const arrangedBytes = 144;

/** The module's number of each format. */
const kinds = { q5_1: 0, q5_K: 1, q6_K: 2 } as const satisfies Record<WideFormat, number>;

/** y = x Wᵀ, without a bias. */
export function multiplyVector(
  x: Tensor2D,
  { layout, address, rowBytes }: ResidentWeight,
  outFeatures: number,
  { heap, module, scratch }: Pick<FusedContext, 'heap' | 'module' | 'scratch'>,
): Tensor2D {
  const [rows, inFeatures] = x.shape;
  const y = heap.allocate([rows, outFeatures]) as Tensor2D;
  if (layout === 'f16') {
    module.vectorProductF16(heap.address(x), address, heap.address(y), rows, outFeatures, inFeatures);
    return y;
  }
  if (layout !== 'bits4' && layout !== 'bits8') {
    const room = scratch.room(inFeatures * 4);
    const blocks = inFeatures / blockShapes[layout].values;
    module.vectorProductBlocks(
      ...[heap.address(x), address, heap.address(y)],
      ...[rows, outFeatures, inFeatures, blocks, rowBytes, kinds[layout], room],
    );
    return y;
  }
  const blocks = (rows * inFeatures) / 32;
  const arranged = scratch.room(blocks * arrangedBytes + Math.ceil(blocks / 4) * 16);
  const sums = arranged + blocks * arrangedBytes;
  const bits = layout === 'bits4' ? 4 : 8;
  module.arrangeIntegers(heap.address(x), arranged, sums, blocks, bits);
  if (bits === 4)
    module.vectorProduct4(arranged, sums, address, heap.address(y), rows, outFeatures, inFeatures / 32);
  else module.vectorProduct8(arranged, address, heap.address(y), rows, outFeatures, inFeatures / 32);
  return y;
}
