/** The world that a command line runs in. */
import type { CommandContext } from './command-context.js';

/** The world of a command line: `process` and the machine for the binary, stand-ins for tests. */
export interface CommandWorld extends Omit<
  CommandContext,
  'progress' | 'signal' | 'onInterrupt' | 'hubDirectory'
> {
  readonly output: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };
  readonly errorOutput: NodeJS.WritableStream;
  /** Of the installed command. */
  readonly version: string;
  /** Name of this machine on its network. */
  readonly hostname: string;
  /** Calls `handler` at every Ctrl-C until the function returned is called. */
  readonly listenForInterrupts: (handler: () => void) => () => void;
  /** Ends the process at once: a second Ctrl-C does not wait for the step to end. */
  readonly exitAtOnce: (code: number) => void;
  /** Sends a message to the process that started this one, if there is one; resolves when it is out. */
  readonly sendToParent: (message: unknown) => Promise<void>;
}
