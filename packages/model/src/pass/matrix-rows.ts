/** A frozen matrix of which single rows are used, such as an embedding: kept as the file stores it, expanded row by row. */
import { type CompactWeight, expandWeight } from '@contextlora/kernels';

/** Row-major `[rows, columns]`. */
export type RowMatrix = Float32Array | CompactWeight;

/**
 * Some rows of a matrix of `[rowCount, columns]`, in the order asked for.
 *
 * @returns `[rows.length, columns]`
 * @throws Error when the matrix has no such row.
 */
export function matrixRows(
  matrix: RowMatrix,
  rows: Int32Array | readonly number[],
  [rowCount, columns]: readonly [number, number],
): Float32Array {
  const odd = rows.find((row) => !(Number.isInteger(row) && row >= 0 && row < rowCount));
  if (odd !== undefined)
    throw new Error(`model/matrixRows: there is no row ${odd}; the matrix has ${rowCount}`);
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

/** Rows of `size` elements, one behind the other, in an array of the same kind. */
function picked<T extends Values>(values: T, rows: Int32Array | readonly number[], size: number): T {
  const result = new (values.constructor as new (length: number) => T)(rows.length * size);
  for (const [i, row] of rows.entries()) result.set(values.subarray(row * size, (row + 1) * size), i * size);
  return result;
}
