/** What the command line gives its subcommands: the only door to streams, clock and signals. */
import type { Progress } from '../terminal/progress.js';

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
  readonly input: NodeJS.ReadStream;
  readonly output: NodeJS.WriteStream;
  readonly now: () => Date;
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

/** Thrown inside a command that was stopped; exit code 130. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
  constructor() {
    super('stopped');
  }
}
