/** What a command is given of the world: streams, clocks, signals and paths; only the binary makes a real one. */
import type { Progress } from './terminal/progress.js';

export interface CommandContext {
  readonly progress: Progress;
  /** Monotonic seconds. */
  readonly clock: () => number;
  /** Processor time of this process so far. */
  readonly cpuSeconds: () => number;
  /** Path of the running program, to start it again in another process. */
  readonly program: string;
  /** Raised by Ctrl-C: long work stops at the next step and keeps what it has. */
  readonly signal: AbortSignal;
  /** Takes Ctrl-C over from the signal until the function returned is called. */
  readonly onInterrupt: (handler: () => void) => () => void;
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly output: NodeJS.WritableStream;
  readonly now: () => Date;
  /** Variables of the environment. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Where Hugging Face's tools keep downloaded models. */
  readonly hubDirectory: string;
}

/** Ends an iteration early when the signal is raised, so that the generator behind it can save its state. */
export async function* untilStopped<T>(events: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  for await (const event of events) {
    yield event;
    if (signal.aborted) throw new Stopped();
  }
}

/** Thrown inside a command that was stopped by Ctrl-C. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
  constructor() {
    super('stopped');
  }
}
