/** The signals that ask a command to stop. */

/** Ctrl-C, the request of a system that shuts down, and a terminal that was closed. */
export type StopSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP';

/** The exit code of a command that a signal stopped: 128 and the number of the signal, as shells have it. */
export const stopCodes: Readonly<Record<StopSignal, number>> = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };
