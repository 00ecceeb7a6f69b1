/** What a user reads when a command fails, and the exit code that says so to a script. */
import { Stopped } from './command-context.js';
import { describeMachineFault } from './machine-fault.js';
import { isUserError } from './user-error.js';

export const exitCodes = { done: 0, defect: 1, userMistake: 2, interrupted: 130 } as const;

export interface Failure {
  readonly message: string;
  readonly exitCode: number;
}

/** One message for a stop, a mistake of the user and a fault of the machine; the stack trace of a defect. */
export function describeFailure(error: unknown): Failure {
  if (error instanceof Stopped)
    return {
      message: 'Stopped. What a run has finished is kept; the command that made it goes on with --resume.',
      exitCode: exitCodes.interrupted,
    };
  if (isUserError(error)) {
    // "Cannot read the file" may have a reason that no path can mend.
    const fault =
      error.cause instanceof Error && error.message.includes(error.cause.message)
        ? undefined
        : describeMachineFault(error.cause);
    const message = fault === undefined ? error.message : `${error.message} (${fault})`;
    return { message, exitCode: exitCodes.userMistake };
  }
  const fault = describeMachineFault(error);
  if (fault !== undefined) return { message: fault, exitCode: exitCodes.userMistake };
  return {
    message: error instanceof Error ? (error.stack ?? error.message) : String(error),
    exitCode: exitCodes.defect,
  };
}
