/** The checks of options that take one of a few values, for callers that TypeScript does not check. */
import { KernelsError } from './kernels-error.js';

/** Throws unless a value is one of the choices. */
export function requireChoice(
  operation: string,
  name: string,
  value: unknown,
  choices: readonly string[],
): void {
  if (choices.some((choice) => choice === value)) return;
  const got = typeof value === 'string' ? `"${value}"` : String(value);
  throw new KernelsError(
    'KERNELS_OUT_OF_RANGE',
    operation,
    `${name} must be one of ${choices.join(', ')}, got ${got}`,
  );
}
