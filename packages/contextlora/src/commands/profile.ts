/** `contextlora profile`: what this machine does now, or what a Jetson board is said to do. */
import { execFile } from 'node:child_process';
import { setTimeout } from 'node:timers/promises';

import {
  type CommandRunner,
  type DeviceSample,
  measureRates,
  openFileTree,
  publishedCluster,
  publishedProfile,
  watchDevice,
} from '@contextlora/jetson';
import { openKernels } from '@contextlora/kernels';
import { loadModel, locateModel } from '@contextlora/model';

import { measuredLayer } from '../seam/measured-layer.js';
import type { CommandContext } from './command-context.js';

export interface ProfileOptions {
  /** 0 goes on until stopped. */
  readonly count: number;
  readonly interval: number;
  readonly json: boolean;
  /** Prints this board's published figures instead. */
  readonly board?: string;
  /** Prints a cluster of these published boards instead, separated by commas. */
  readonly cluster?: string;
  readonly mbit: number;
  readonly switched: boolean;
  /** Measures the rates of a layer of this model on this machine instead. */
  readonly measure?: string;
  readonly tokens: number;
  readonly rank: number;
  readonly budget: number;
  readonly threads: number;
  /** Where the machine's files are. */
  readonly root: string;
}

/** Returns whether it was stopped. */
export async function runProfile(
  options: ProfileOptions,
  { clock, signal, output, hubDirectory }: CommandContext,
): Promise<boolean> {
  const { count, interval, json, board, cluster, measure, mbit, switched, root } = options;
  const print = (value: unknown) => output.write(`${JSON.stringify(value, null, 2)}\n`);
  const asked = Object.entries({ board, cluster, measure }).filter(([, value]) => value !== undefined);
  if (asked.length > 1)
    throw new Error(
      `contextlora/profile: ${asked.map(([name]) => `--${name}`).join(' and ')} ask for different things; give one of them`,
    );
  if (board !== undefined) {
    print(publishedProfile(board));
    return false;
  }
  if (cluster !== undefined) {
    const ids = cluster.split(',').map((id) => id.trim());
    print(publishedCluster(ids, { megabitsPerSecond: mbit, sharedMedium: !switched }));
    return false;
  }

  if (measure !== undefined) {
    const kernels = await openKernels({ threads: options.threads });
    const layer = measuredLayer(await loadModel(await locateModel(measure, { hubDirectory }), { kernels }), {
      rank: options.rank,
    });
    try {
      const rates = measureRates(layer, {
        clock,
        budgetSeconds: options.budget,
        tolerance: 0.05,
        tokens: options.tokens,
      });
      print({ model: measure, ground: kernels.ground, rank: options.rank, ...rates });
    } finally {
      layer.dispose();
    }
    return false;
  }

  let last: DeviceSample | undefined;
  const samples = watchDevice(openFileTree(root), {
    clock,
    // An abort ends the pause early; the loop below ends the rest.
    sleep: (seconds) => setTimeout(seconds * 1000, undefined, { signal }).catch(() => undefined),
    run: runCommand,
    intervalSeconds: interval,
    count: count === 0 ? Infinity : count,
  });
  for await (const sample of samples) {
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
  return signal.aborted;
}

/** One line; `–` is unknown. */
export function tellSample({ board, load, memory, power, temperatures, clocks }: DeviceSample): string {
  const whole = (value: number | undefined) => (value === undefined ? '–' : value.toFixed(0));
  const megabytes = (bytes: number) => (bytes / 2 ** 20).toFixed(0);
  const hottest = [...temperatures].sort((a, b) => b.celsius - a.celsius)[0];
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

/** A program that is missing, fails or takes more than 5 s has nothing to say. */
const runCommand: CommandRunner = (command, args) =>
  new Promise((resolve) => {
    execFile(command, args, { timeout: 5000, maxBuffer: 1 << 20 }, (error, stdout) => {
      resolve(error ? undefined : stdout);
    });
  });
