/** What a command needs to add itself to the program. */
import type { Command } from 'commander';

import type { CommandContext } from './command-context.js';
import type { CommandWorld } from './command-world.js';

export interface CommandSetup {
  readonly program: Command;
  readonly context: CommandContext;
  readonly world: CommandWorld;
  /** Runs a command's work, which returns 'interrupted' if Ctrl-C ended it. */
  readonly run: (work: () => Promise<unknown>) => Promise<void>;
}
