/** The world that a command line runs in: everything outside this package that it reads or changes. */
import type { CommandContext } from './command-context.js';
import type { StopSignal } from './stop-signals.js';

/** The binary passes its process and machine, tests pass stand-ins. */
export interface CommandWorld extends Omit<
  CommandContext,
  'progress' | 'signal' | 'onInterrupt' | 'hubDirectory'
> {
  readonly output: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };
  readonly errorOutput: NodeJS.WritableStream;
  /** Name of this machine on its network. */
  readonly hostname: string;
  /** Calls `handler` at every signal that asks to stop, until the returned function is called; meanwhile none of them ends the process. */
  readonly listenForStops: (handler: (signal: StopSignal) => void) => () => void;
  /** Calls `handler` when the process that started this one, and can send messages to it, has gone. */
  readonly listenForOrphaning: (handler: () => void) => () => void;
  /** Ends the process at once; for a second signal. */
  readonly exitAtOnce: (code: number) => void;
  /** Sends a message to the parent process, if it listens; resolves when the message is sent. */
  readonly sendToParent: (message: unknown) => Promise<void>;
}
