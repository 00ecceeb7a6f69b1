/** Frozen matrices that are used row by row, such as an embedding: kept as the file stores them, expanded on use. */
import { type CompactWeight, expandWeight } from '@contextlora/kernels';

import { ModelError } from '../model-error.js';

/** Row-major `[rows, columns]`. */
export type RowMatrix = Float32Array | CompactWeight;

/**
 * The requested rows of a matrix `[rowCount, columns]`, in the order given.
 *
 * @returns `[rows.length, columns]`
 * @throws ModelError when the matrix has no such row.
 */
export function matrixRows(
  matrix: RowMatrix,
  rows: Int32Array | readonly number[],
  [rowCount, columns]: readonly [number, number],
): Float32Array {
  const odd = rows.find((row) => !(Number.isInteger(row) && row >= 0 && row < rowCount));
  if (odd !== undefined)
    throw new ModelError(
      'MODEL_INPUT_INVALID',
      'matrixRows',
      `there is no row ${odd}; the matrix has ${rowCount}`,
    );
  if (matrix instanceof Float32Array) return picked(matrix, rows, columns);
  return expandWeight(compactRows(matrix, rows, [rowCount, columns]), rows.length, columns);
}

function compactRows(
  matrix: CompactWeight,
  rows: Int32Array | readonly number[],
  [rowCount, columns]: readonly [number, number],
): CompactWeight {
  switch (matrix.format) {
    case 'f16':
      return { format: 'f16', values: picked(matrix.values, rows, columns) };
    case 'int8':
      return {
        format: 'int8',
        values: picked(matrix.values, rows, columns),
        scales: picked(matrix.scales, rows, 1),
      };
    default:
      return { ...matrix, blocks: picked(matrix.blocks, rows, matrix.blocks.length / rowCount) };
  }
}

type Values = Float32Array | Uint16Array | Int8Array | Uint8Array;

/** Rows of `size` elements, one after the other, in an array of the same type. */
function picked<T extends Values>(values: T, rows: Int32Array | readonly number[], size: number): T {
  const result = new (values.constructor as new (length: number) => T)(rows.length * size);
  for (const [i, row] of rows.entries()) result.set(values.subarray(row * size, (row + 1) * size), i * size);
  return result;
}
