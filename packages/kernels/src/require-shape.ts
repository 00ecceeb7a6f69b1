/** Checks of operands, with messages a caller can act on. */
import type { Tensor2D } from '@contextlora/kernels/tfjs';

import { KernelsError } from './kernels-error.js';
import type { LinearWeight, LoraSegment } from './kernels.js';
import { requireLength } from './require-length.js';

/** Throws unless a tensor is not disposed and is float32 `[rows, columns]`; null leaves a dimension open. */
export function requireShape(
  operation: string,
  name: string,
  tensor: Tensor2D,
  [rows, columns]: readonly [number | null, number | null],
): void {
  if (tensor.isDisposed)
    throw new KernelsError(
      'KERNELS_OPERAND_MISMATCH',
      operation,
      `${name} is disposed; keep the operands of an operation until its backward is done`,
    );
  const shape: readonly number[] = tensor.shape;
  const fits =
    tensor.dtype === 'float32' &&
    shape.length === 2 &&
    (rows === null || shape[0] === rows) &&
    (columns === null || shape[1] === columns);
  if (!fits)
    throw new KernelsError(
      'KERNELS_OPERAND_MISMATCH',
      operation,
      `${name} must be float32 [${rows ?? 'any'}, ${columns ?? 'any'}], got ${tensor.dtype} [${shape.join(', ')}]`,
    );
}

/** Throws unless the matrices of every segment fit the linear layer and each other. */
export function requireSegments(
  operation: string,
  segments: readonly LoraSegment[],
  { inFeatures, outFeatures }: LinearWeight,
  rowCount: number,
): void {
  for (const [i, { a, b, rows, dropout }] of segments.entries()) {
    if (rows && !(rows.start >= 0 && rows.start < rows.end && rows.end <= rowCount))
      throw new KernelsError(
        'KERNELS_OUT_OF_RANGE',
        operation,
        `segment ${i} is for rows ${rows.start} to ${rows.end}, and there are ${rowCount} rows`,
      );
    if (dropout) {
      requireLength(operation, `the dropout of segment ${i}`, dropout.kept.length, rowCount * inFeatures);
      requireAllRows(operation, rows);
    }
    requireShape(operation, `a of segment ${i}`, a, [null, inFeatures]);
    requireShape(operation, `b of segment ${i}`, b, [outFeatures, a.shape[0]]);
  }
}

/** Throws if a segment applies to some rows only. */
export function requireAllRows(operation: string, rows: LoraSegment['rows']): void {
  if (rows)
    throw new KernelsError(
      'KERNELS_NO_BACKWARD',
      operation,
      'a segment for only some of the rows has no backward',
    );
}

/** Throws unless every index is below the number of rows. */
export function requireIndices(operation: string, indices: Int32Array, rows: number): void {
  for (const [i, index] of indices.entries())
    if (index < 0 || index >= rows)
      throw new KernelsError(
        'KERNELS_OUT_OF_RANGE',
        operation,
        `index ${i} is ${index}, and there are ${rows} rows`,
      );
}

/** Throws unless each row has a weight and, if that is not 0, a target among the columns. */
export function requireTargets(
  operation: string,
  [rows, columns]: readonly [number, number],
  { targets, weights }: { readonly targets: Int32Array; readonly weights: Float32Array },
): void {
  requireLength(operation, 'targets', targets.length, rows);
  requireLength(operation, 'weights', weights.length, rows);
  for (const [row, target] of targets.entries())
    if (weights[row] !== 0 && (target < 0 || target >= columns))
      throw new KernelsError(
        'KERNELS_OUT_OF_RANGE',
        operation,
        `target ${target} of row ${row} is outside the ${columns} columns`,
      );
}
