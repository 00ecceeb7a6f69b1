/** `contextlora profile` without a measurement: samples of this machine, one per line. */
import {
  type DeviceSample,
  openFileTree,
  readBoard,
  readTegrastats,
  sampleOfTegrastats,
  watchDevice,
} from '@contextlora/jetson';

import { CliError } from '../cli-error.js';
import type { CommandContext } from '../command-context.js';
import { pause } from '../pause.js';
import { describeSample } from '../terminal/describe-sample.js';
import type { ProfileOptions } from './profile-options.js';
import { programRunner, streamProgram } from './run-program.js';

/** Prints samples until there are enough of them or Ctrl-C is pressed. */
export async function printSamples(options: ProfileOptions, context: CommandContext): Promise<void> {
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
          '"contextlora profile --board orin-nano-8" prints the published figures of a board',
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
    // An abort ends the pause early, and the caller's loop then ends the samples.
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
