/** The hidden command that the demo starts in a second process for its joint baseline. */
import { baselineCommand, type BaselineJob, runBaselines } from '@contextlora/benchmarks';

import type { CommandSetup } from '../command-setup.js';
import { stopCodes } from '../stop-signals.js';

export function addBaselinesCommand({ program, world, run }: CommandSetup): void {
  program.command(`${baselineCommand} <job>`, { hidden: true }).action((job: string) =>
    // A signal to the whole group is for the demo, which ends this process when it has saved its own work.
    run(async () => {
      const forget = world.listenForOrphaning(() => {
        world.exitAtOnce(stopCodes.SIGHUP);
      });
      try {
        await runBaselines(JSON.parse(job) as BaselineJob, world.sendToParent);
      } finally {
        forget();
      }
    }),
  );
}
