/** How a command adds itself to the program. */
import type { Command } from 'commander';

import type { CommandContext } from './command-context.js';
import type { CommandWorld } from './command-world.js';

/** Adds one command to the program; `run` is given its work, which returns 'interrupted' where Ctrl-C left it. */
export interface CommandSetup {
  readonly program: Command;
  readonly context: CommandContext;
  readonly world: CommandWorld;
  readonly run: (work: () => Promise<unknown>) => Promise<void>;
}
