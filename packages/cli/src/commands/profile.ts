/** `contextlora profile`: what this machine does now, or what a Jetson board is said to do. */
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

import type { CommandContext } from './command-context.js';
import { listenForMeasurements } from './listen-for-measurements.js';
import { pause, runProfileMachine } from './profile-machine.js';
import { checkProfileOptions, type ProfileOptions } from './profile-options.js';
import { runProgram, streamProgram } from './run-program.js';

/** Returns whether it was stopped. */
export async function runProfile(options: ProfileOptions, context: CommandContext): Promise<boolean> {
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
      await runProfileMachine(options, context);
    } catch (error) {
      // What was under way fails when it is stopped.
      if (!signal.aborted) throw error;
    }
  else await printSamples(options, context);
  return signal.aborted;
}

async function printSamples(options: ProfileOptions, { clock, signal, output }: CommandContext) {
  const { json, root, source } = options;
  let last: DeviceSample | undefined;
  for await (const sample of source === 'files'
    ? samplesOfFiles(options, { clock, signal })
    : samplesOfTegrastats(options, { clock, signal })) {
    if (signal.aborted) break;
    if (!sample.memory && sample.load.cores.length === 0)
      throw new Error(
        `contextlora/profile: there is nothing to read below ${root}: neither proc/meminfo nor proc/stat. This works on Linux; ` +
          '"contextlora profile --board orin-nano-8" prints what is published of a board',
      );
    output.write(`${json ? JSON.stringify(sample) : tellSample(sample)}\n`);
    last = sample;
  }
  if (!json && last && last.missing.length > 0) {
    const kinds = [...new Set(last.missing.map(({ what }) => what))];
    output.write(`As root there would also be: ${kinds.join(', ')}.\n`);
  }
}

type Running = Pick<CommandContext, 'clock' | 'signal'>;

const samplesOfFiles = ({ root, interval, count }: ProfileOptions, { clock, signal }: Running) =>
  watchDevice(openFileTree(root), {
    clock,
    // An abort ends the pause early; the loop ends the rest.
    sleep: pause(signal),
    run: runProgram,
    intervalSeconds: interval,
    count: count === 0 ? Infinity : count,
  });

/** Samples of a running tegrastats; the board is read from files, for a line does not name it. */
async function* samplesOfTegrastats(
  { root, interval, count }: ProfileOptions,
  { clock, signal }: Running,
): AsyncGenerator<DeviceSample> {
  const board = await readBoard(openFileTree(root), runProgram);
  const text = streamProgram('tegrastats', ['--interval', String(Math.round(1000 * interval))], { signal });
  let seen = 0;
  for await (const line of readTegrastats(text)) {
    yield sampleOfTegrastats(line, { atSeconds: clock(), board });
    seen += 1;
    if (seen === count) return;
  }
}

/** One line; `–` is unknown. */
export function tellSample({ board, load, memory, power, temperatures, clocks }: DeviceSample): string {
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
