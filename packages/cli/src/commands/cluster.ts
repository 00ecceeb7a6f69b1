/** `contextlora cluster`: devices that work together. */
import type { CommandSetup } from '../command-setup.js';
import { addClusterInitCommand } from './cluster-init.js';
import { addClusterStatusCommand } from './cluster-status.js';
import { addClusterUpCommand } from './cluster-up.js';

export function addClusterCommand(setup: CommandSetup): void {
  const cluster = setup.program
    .command('cluster')
    .description('devices that work together: keys, server, state');
  for (const add of [addClusterInitCommand, addClusterUpCommand, addClusterStatusCommand])
    add({ ...setup, program: cluster });
}
