/** `contextlora profile`: samples and measurements of this machine, or the published figures of a Jetson board. */
import { publishedCluster, publishedProfile } from '@contextlora/jetson';
import { Option } from 'commander';

import type { CommandContext } from '../command-context.js';
import type { CommandSetup } from '../command-setup.js';
import { helpExamples } from '../help-examples.js';
import { collect, naturalNumber, positiveNumber, positiveWhole } from '../option-values.js';
import { listenForMeasurements } from './listen-for-measurements.js';
import { measureAndWrite } from './measure-and-write.js';
import { printSamples } from './print-samples.js';
import { checkProfileOptions, type ProfileOptions } from './profile-options.js';

export function addProfileCommand({ program, context, world, run }: CommandSetup): void {
  program
    .command('profile')
    .description(
      'print load, memory, power, temperatures and clocks of this machine; measure its speed and its links; print published figures of Jetson boards',
    )
    .option('--count <n>', 'number of samples; 0 continues until Ctrl-C', naturalNumber, 1)
    .option('--interval <seconds>', 'seconds between samples', positiveNumber, 1)
    .option('--json', 'print one JSON object per line', false)
    .option('--board <name>', 'print the published figures of a board, with their sources')
    .option(
      '--cluster <names>',
      'print published boards as a cluster for "plan", for example nano,orin-nx-16',
    )
    .option('--mbit <n>', 'with --cluster: network bandwidth in Mbit/s', positiveNumber, 100)
    .option(
      '--switched',
      'with --cluster: assume a switched network instead of a shared Wi-Fi channel',
      false,
    )
    .addOption(
      new Option('--source <what>', 'source of the samples')
        .choices(['files', 'tegrastats'])
        .default('files'),
    )
    .option('--measure <model>', 'measure the FLOP/s of this machine with layers of a model')
    .addOption(
      new Option(
        '--base <format>',
        "with --measure: format of the frozen weights (the file's); w8a8 multiplies in integers",
      ).choices(['f32', 'f16', 'int8', 'q8_0', 'q4_0', 'q4_1', 'w8a8']),
    )
    .option('--tokens <n>', 'with --measure: tokens per sample', positiveWhole, 128)
    .option(
      '--batch <n>',
      'with --measure: samples per pass, as many as in the micro-batches you will train',
      positiveWhole,
      1,
    )
    .option('--rank <n>', 'with --measure: rank of the trained segment', positiveWhole, 8)
    .option('--budget <seconds>', 'time limit of each measurement', positiveNumber, 10)
    .option(
      '--sustained <seconds>',
      'with --measure: also run without a pause for this long, and report how much of the speed remains',
      positiveNumber,
    )
    .option('--threads <n>', 'with --measure: threads per native operation', naturalNumber, 1)
    .option('--listen [port]', 'answer link measurements on [HOST:]PORT until Ctrl-C')
    .option('--link <host>', 'measure the link to a machine that listens at HOST[:PORT]; repeatable', collect)
    .option('--medium <name>', 'with --link: name of the medium, if links share one', 'wifi')
    .option(
      '--id <name>',
      'name of this machine in clusters',
      world.hostname.replace(/[^\w.-]/g, '-').slice(0, 64),
    )
    .option('--out <file>', 'with --measure or --link: create or update this cluster file for "plan"')
    .option('--root <directory>', 'root of the file system to read', '/')
    .addHelpText(
      'after',
      helpExamples([
        ['contextlora profile --count 0 --interval 2', 'print a sample every two seconds until Ctrl-C'],
        [
          'contextlora profile --measure ./model --batch 4 --sustained 300 --out orin.json',
          'measure this machine for "plan"',
        ],
        ['contextlora profile --listen', 'let other machines measure their link to this one'],
        [
          'contextlora profile --link 10.0.0.2 --link nano.local --out orin.json',
          'measure the links to two listening machines',
        ],
        [
          'contextlora profile --cluster nano,orin-nx-16 --mbit 50 > devices.json',
          'describe boards you do not have',
        ],
      ]),
    )
    .action((options: ProfileOptions) =>
      run(async () => ((await runProfile(options, context)) ? 'interrupted' : undefined)),
    );
}

/** Returns whether Ctrl-C stopped it. */
async function runProfile(options: ProfileOptions, context: CommandContext): Promise<boolean> {
  checkProfileOptions(options);
  const { board, cluster, measure, link, listen, mbit, switched } = options;
  const { signal, output } = context;
  const print = (value: unknown) => output.write(`${JSON.stringify(value, null, 2)}\n`);
  if (board !== undefined) print(publishedProfile(board));
  else if (cluster !== undefined)
    print(
      publishedCluster(
        cluster.split(',').map((id) => id.trim()),
        { megabitsPerSecond: mbit, sharedMedium: !switched },
      ),
    );
  else if (listen !== undefined) await listenForMeasurements(listen, options, context);
  else if (measure !== undefined || link !== undefined)
    try {
      await measureAndWrite(options, context);
    } catch (error) {
      // A stopped measurement fails; that is not worth a message.
      if (!signal.aborted) throw error;
    }
  else await printSamples(options, context);
  return signal.aborted;
}
