/** `contextlora doctor`: the kernel backends that work on this machine. */
import { describeBackends } from '@contextlora/kernels';

import type { CommandSetup } from '../command-setup.js';
import { helpExamples } from '../help-examples.js';

export function addDoctorCommand({ program, context: { output }, runToEnd }: CommandSetup): void {
  program
    .command('doctor')
    .description('list the kernel backends that work on this machine')
    .option('--json', 'print one JSON object', false)
    .addHelpText(
      'after',
      helpExamples([
        ['contextlora doctor', 'what runs fast here, and what is missing for the rest'],
        ['contextlora doctor --json', 'the same for a program'],
      ]),
    )
    .action(({ json }: { readonly json: boolean }) =>
      runToEnd(async () => {
        const backends = await describeBackends();
        const machine = { node: process.version, platform: process.platform, architecture: process.arch };
        if (json) output.write(`${JSON.stringify({ backends, ...machine })}\n`);
        else {
          for (const { backend, available, detail } of backends)
            output.write(`${available ? 'yes' : 'no '}  ${backend.padEnd(10)} ${detail}\n`);
          output.write(`     node ${machine.node}, ${machine.platform}-${machine.architecture}\n`);
        }
      }),
    );
}
