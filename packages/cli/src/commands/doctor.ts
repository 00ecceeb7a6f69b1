/** `contextlora doctor`: the kernel backends that work on this machine. */
import { describeBackends } from '@contextlora/kernels';

import type { CommandSetup } from '../command-setup.js';

export function addDoctorCommand({ program, context: { output }, runToEnd }: CommandSetup): void {
  program
    .command('doctor')
    .description('list the kernel backends that work on this machine')
    .action(() =>
      runToEnd(async () => {
        for (const { backend, available, detail } of await describeBackends())
          output.write(`${available ? 'yes' : 'no '}  ${backend.padEnd(10)} ${detail}\n`);
        output.write(`     node ${process.version}, ${process.platform}-${process.arch}\n`);
      }),
    );
}
