/** The world that a command line runs in: everything outside this package that it reads or changes. */
import type { CommandContext } from './command-context.js';

/** The binary passes its process and machine, tests pass stand-ins. */
export interface CommandWorld extends Omit<
  CommandContext,
  'progress' | 'signal' | 'onInterrupt' | 'hubDirectory'
> {
  readonly output: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };
  readonly errorOutput: NodeJS.WritableStream;
  /** Version of the installed command. */
  readonly version: string;
  /** Name of this machine on its network. */
  readonly hostname: string;
  /** Calls `handler` at every Ctrl-C until the returned function is called. */
  readonly listenForInterrupts: (handler: () => void) => () => void;
  /** Ends the process at once; for a second Ctrl-C. */
  readonly exitAtOnce: (code: number) => void;
  /** Sends a message to the parent process, if it listens; resolves when the message is sent. */
  readonly sendToParent: (message: unknown) => Promise<void>;
}
