/** The check of an array's length, with a message a caller can act on. */
import { KernelsError } from './kernels-error.js';

/** Throws unless an array has the length. */
export function requireLength(operation: string, name: string, actual: number, expected: number): void {
  if (actual !== expected)
    throw new KernelsError(
      'KERNELS_OPERAND_MISMATCH',
      operation,
      `${name} must have ${expected} elements, got ${actual}`,
    );
}
