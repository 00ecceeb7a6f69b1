/** `contextlora profile`: what this machine does now, or what is published of a Jetson board. */
import {
  type DeviceSample,
  hottestOf,
  openFileTree,
  publishedCluster,
  publishedProfile,
  readBoard,
  readTegrastats,
  sampleOfTegrastats,
  watchDevice,
} from '@contextlora/jetson';

import { Option } from 'commander';

import { CliError } from '../cli-error.js';
import type { CommandContext } from '../command-context.js';
import type { CommandSetup } from '../command-setup.js';
import { collect, naturalNumber, positiveNumber, positiveWhole } from '../option-values.js';
import { listenForMeasurements } from './listen-for-measurements.js';
import { measureAndWrite, pause } from './measure-machine.js';
import { checkProfileOptions, type ProfileOptions } from './profile-options.js';
import { programRunner, streamProgram } from './run-program.js';

export function addProfileCommand({ program, context, world, run }: CommandSetup): void {
  program
    .command('profile')
    .description(
      'print load, memory, power, temperatures and clocks of this machine, or the published figures of a Jetson board',
    )
    .option('--count <n>', 'number of samples; 0 goes on until Ctrl-C', naturalNumber, 1)
    .option('--interval <seconds>', 'seconds between samples', positiveNumber, 1)
    .option('--json', 'print one JSON object per line', false)
    .option('--board <name>', 'print the published figures of a board with their sources')
    .option(
      '--cluster <names>',
      'print a cluster of published boards for "plan", for example nano,orin-nx-16',
    )
    .option('--mbit <n>', 'with --cluster: network bandwidth in Mbit/s', positiveNumber, 100)
    .option('--switched', 'with --cluster: a switched network instead of one shared Wi-Fi channel', false)
    .addOption(
      new Option('--source <what>', 'source of the samples')
        .choices(['files', 'tegrastats'])
        .default('files'),
    )
    .option('--measure <model>', 'measure the FLOP/s of a layer of this model')
    .option('--tokens <n>', 'with --measure: tokens per sample', positiveWhole, 128)
    .option(
      '--batch <n>',
      'with --measure: samples per pass, as in the micro-batches you train',
      positiveWhole,
      1,
    )
    .option('--rank <n>', 'with --measure: rank of the trained segment', positiveWhole, 8)
    .option('--budget <seconds>', 'time limit of each measurement', positiveNumber, 10)
    .option(
      '--sustained <seconds>',
      'with --measure: run the layer this long and report how much of its rate it keeps',
      positiveNumber,
    )
    .option('--threads <n>', 'with --measure: threads per native operation', naturalNumber, 1)
    .option('--listen [port]', 'answer link measurements on [HOST:]PORT until Ctrl-C')
    .option('--link <host>', 'measure the link to a listening machine at HOST[:PORT]; repeatable', collect)
    .option('--medium <name>', 'with --link: name of the medium that the links share', 'wifi')
    .option(
      '--id <name>',
      'name of this machine in clusters',
      world.hostname.replace(/[^\w.-]/g, '-').slice(0, 64),
    )
    .option('--out <file>', 'with --measure or --link: update this cluster file, for "plan"')
    .option('--root <directory>', 'root of the file system to read', '/')
    .action((options: ProfileOptions) =>
      run(async () => ((await runProfile(options, context)) ? 'interrupted' : undefined)),
    );
}

/** Returns whether it was stopped. */
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
      // A measurement that is stopped fails.
      if (!signal.aborted) throw error;
    }
  else await printSamples(options, context);
  return signal.aborted;
}

async function printSamples(options: ProfileOptions, context: CommandContext) {
  const { signal, output } = context;
  const { json, root, source } = options;
  let last: DeviceSample | undefined;
  for await (const sample of source === 'files'
    ? samplesOfFiles(options, context)
    : samplesOfTegrastats(options, context)) {
    if (signal.aborted) break;
    if (!sample.memory && sample.load.cores.length === 0)
      throw new CliError(
        'CLI_MACHINE_UNSUPPORTED',
        'profile',
        `there is nothing to read below ${root}: neither proc/meminfo nor proc/stat. This works on Linux; ` +
          '"contextlora profile --board orin-nano-8" prints what is published of a board',
      );
    output.write(`${json ? JSON.stringify(sample) : describeSample(sample)}\n`);
    last = sample;
  }
  if (!json && last && last.missing.length > 0) {
    const kinds = [...new Set(last.missing.map(({ what }) => what))];
    output.write(`Run as root to measure also: ${kinds.join(', ')}.\n`);
  }
}

type Running = Pick<CommandContext, 'clock' | 'signal' | 'environment'>;

const samplesOfFiles = ({ root, interval, count }: ProfileOptions, { clock, signal, environment }: Running) =>
  watchDevice(openFileTree(root), {
    clock,
    // An abort ends the pause early; the loop ends the rest.
    sleep: pause(signal),
    run: programRunner(environment),
    intervalSeconds: interval,
    count: count === 0 ? Infinity : count,
  });

/** Samples of a running tegrastats; the board is read from files because the lines do not name it. */
async function* samplesOfTegrastats(
  { root, interval, count }: ProfileOptions,
  { clock, signal, environment }: Running,
): AsyncGenerator<DeviceSample> {
  const board = await readBoard(openFileTree(root), programRunner(environment));
  const text = streamProgram('tegrastats', ['--interval', String(Math.round(1000 * interval))], {
    signal,
    environment,
  });
  let seen = 0;
  for await (const line of readTegrastats(text)) {
    yield sampleOfTegrastats(line, { atSeconds: clock(), board });
    seen += 1;
    if (seen === count) return;
  }
}

/** One line; `–` means unknown. */
function describeSample({ board, load, memory, power, temperatures, clocks }: DeviceSample): string {
  const whole = (value: number | undefined) => (value === undefined ? '–' : value.toFixed(0));
  const megabytes = (bytes: number) => (bytes / 2 ** 20).toFixed(0);
  const hottest = hottestOf(temperatures);
  return [
    [board.profile ?? board.model ?? 'unknown machine', board.powerMode?.name].filter(Boolean).join(' '),
    `CPU ${whole(load.cpuPercent)} %`,
    `GPU ${whole(load.gpuPercent)} %${clocks.gpuHertz === undefined ? '' : ` at ${whole(clocks.gpuHertz / 1e6)} MHz`}`,
    memory
      ? `RAM ${megabytes(memory.totalBytes - memory.availableBytes)}/${megabytes(memory.totalBytes)} MB`
      : 'RAM –',
    power.total ? `${power.total.watts.toFixed(1)} W (${power.total.from})` : '– W',
    hottest ? `${hottest.celsius.toFixed(1)} °C (${hottest.sensor})` : '– °C',
  ].join('  ');
}
