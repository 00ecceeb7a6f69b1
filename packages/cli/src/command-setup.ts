/** What a command needs to add itself to the program. */
import type { Command } from 'commander';

import type { CommandContext } from './command-context.js';
import type { CommandWorld } from './command-world.js';

export interface CommandSetup {
  readonly program: Command;
  readonly context: CommandContext;
  readonly world: CommandWorld;
  /** Runs a command's work, which stops when the context's signal is aborted, and returns 'interrupted' if that ended it. */
  readonly run: (work: () => Promise<unknown>) => Promise<void>;
  /** Runs work that has no place to stop and nothing to keep: signals end the process, as if nobody listened. */
  readonly runToEnd: (work: () => Promise<unknown>) => Promise<void>;
}
