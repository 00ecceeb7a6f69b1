/** The hidden command that the demo starts in a second process for its joint baseline. */
import { baselineCommand, type BaselineJob, runBaselines } from '@contextlora/benchmarks';

import type { CommandSetup } from '../command-setup.js';

export function addBaselinesCommand({ program, world, run }: CommandSetup): void {
  program
    .command(`${baselineCommand} <job>`, { hidden: true })
    .action((job: string) => run(() => runBaselines(JSON.parse(job) as BaselineJob, world.sendToParent)));
}
