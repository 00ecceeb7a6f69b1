/** The parts of the world that a command uses: streams, clocks, signals and paths. */
import { setImmediate } from 'node:timers/promises';

import type { Progress } from './terminal/progress.js';

export interface CommandContext {
  readonly progress: Progress;
  /** Monotonic seconds. */
  readonly clock: () => number;
  /** Processor seconds of this process so far. */
  readonly cpuSeconds: () => number;
  /** Memory of this process now, and the most so far. */
  readonly memory: () => {
    readonly residentBytes: number;
    readonly peakBytes: number;
    /** What the machine has free, or its container may still use, where that is known. */
    readonly freeBytes?: number;
  };
  /** Version of the installed command. */
  readonly version: string;
  /** Path of the running program, to start it in a second process. */
  readonly program: string;
  /** Arguments with which Node was started, for worker threads. */
  readonly nodeArguments: readonly string[];
  /** Aborted by Ctrl-C, SIGTERM or SIGHUP: long work stops at its next step and keeps what it has. */
  readonly signal: AbortSignal;
  /** Handles Ctrl-C in place of the signal until the returned function is called. */
  readonly onInterrupt: (handler: () => void) => () => void;
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly output: NodeJS.WritableStream;
  readonly now: () => Date;
  /** Variables of the environment. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Directory in which Hugging Face's tools keep downloaded models. */
  readonly hubDirectory: string;
}

/** Ends an iteration early when the signal is aborted, so that its generator can save its state. */
export async function* untilStopped<T>(events: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  for await (const event of events) {
    yield event;
    // Work that only computes never waits; without a turn of the event loop no signal would arrive.
    await setImmediate();
    if (signal.aborted) throw new Stopped();
  }
}

/** The result of work whose events are shown; ends it early when the signal is aborted. */
export async function resultOf<Event, Result>(
  events: AsyncGenerator<Event, Result>,
  { signal }: Pick<CommandContext, 'signal'>,
  show: (event: Event) => void,
): Promise<Result> {
  for (;;) {
    const next = await events.next();
    if (next.done) return next.value;
    show(next.value);
    await setImmediate();
    if (!signal.aborted) continue;
    await events.return(undefined as never);
    throw new Stopped();
  }
}

/** Thrown inside a command that a signal stopped. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
  constructor() {
    super('stopped');
  }
}
