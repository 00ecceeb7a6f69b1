/** Options that all link measurements share. */
import { JetsonError } from '../jetson-error.js';

export interface MeasureLinkOptions {
  /** Monotonic seconds. */
  readonly clock: () => number;
  /** For all measurements of one call together, plus up to three waits of `timeoutSeconds` if the other end hangs. */
  readonly budgetSeconds: number;
  /** Longest silence of the other end. */
  readonly timeoutSeconds?: number;
  readonly signal?: AbortSignal;
}

export type CheckedLinkOptions = MeasureLinkOptions & { readonly timeoutSeconds: number };

/** Fills in the defaults; throws a JetsonError if the budget is not from 0.5 s to `maxSeconds`. */
export function checkedLinkOptions(options: MeasureLinkOptions, maxSeconds: number): CheckedLinkOptions {
  const { budgetSeconds, timeoutSeconds = 5 } = options;
  if (!(budgetSeconds >= 0.5 && budgetSeconds <= maxSeconds))
    throw new JetsonError(
      'JETSON_ARGUMENT_INVALID',
      'measureLink',
      `budgetSeconds must be from 0.5 to ${maxSeconds}, got ${budgetSeconds}`,
    );
  return { ...options, timeoutSeconds };
}
