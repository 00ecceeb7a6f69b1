/** `contextlora profile --measure MODEL --link HOST --out FILE`: what this machine and its links really do, as a cluster file. */
import { setTimeout } from 'node:timers/promises';

import {
  type Conditions,
  conditionsOf,
  type DeviceSample,
  type LinkEndpoint,
  linkProfiles,
  type LinkSharing,
  lossOf,
  measuredDevice,
  type MeasuredLink,
  measureLink,
  measureSharing,
  measureSustained,
  openFileTree,
  parseEndpoint,
  readMemory,
  sampleDevice,
  type SustainedRates,
  watchDevice,
} from '@contextlora/jetson';
import { openKernels } from '@contextlora/kernels';
import { writeWhole } from '@contextlora/lora/files';
import { type LoadedModel, loadModel, locateModel } from '@contextlora/model';
import { type DeviceProfile, type MeasuredRecord, withMeasured } from '@contextlora/scheduler';
import { measuredLayer, profileModel } from '@contextlora/workloads';

import { CliError } from '../cli-error.js';
import type { CommandContext } from '../command-context.js';
import { readClusterIfAny } from '../read-cluster.js';
import { describeMachine } from '../terminal/describe-machine.js';
import type { ProfileOptions } from './profile-options.js';
import { programRunner } from './run-program.js';

/** A device as measured, and what the figures rest on. */
export interface MachineMeasurement {
  readonly device: DeviceProfile;
  readonly record: MeasuredRecord;
}

export interface LinksMeasurement {
  readonly links: readonly MeasuredLink[];
  readonly sharings: readonly LinkSharing[];
}

/** Measures what is asked for and prints it, or with `--out` puts it into a cluster file. */
export async function measureAndWrite(options: ProfileOptions, context: CommandContext): Promise<void> {
  const { id, medium, measure, link, out } = options;
  // A file that is not a cluster is refused before anything is measured.
  const before = out === undefined ? undefined : await readClusterIfAny(out);
  const machine = measure === undefined ? undefined : await measureMachine(measure, options, context);
  const found =
    link === undefined ? undefined : await measureLinks(link.map(parseEndpoint), options, context);
  if (out === undefined) {
    context.output.write(`${JSON.stringify({ ...machine?.record, ...found }, null, 2)}\n`);
    return;
  }
  const cluster = withMeasured(before ?? { devices: [], links: [] }, {
    id,
    ...(machine && { device: machine.device }),
    ...(found && { links: linkProfiles(found.links, { id, sharings: found.sharings, medium }) }),
    records: [
      ...(machine ? [machine.record] : []),
      ...(found ? [{ of: 'links', id, at: context.now().toISOString(), ...found } as const] : []),
    ],
  });
  await writeWhole(out, `${JSON.stringify(cluster, null, 2)}\n`);
  for (const line of describeMachine(machine, found)) context.output.write(`${line}\n`);
  context.output.write(
    `${out} has ${cluster.devices.length} devices and ${cluster.links.length} directions of links; "contextlora plan --cluster ${out}" takes it\n`,
  );
}

async function measureMachine(
  model: string,
  options: ProfileOptions,
  { clock, cpuSeconds, signal, environment, hubDirectory, now }: CommandContext,
): Promise<MachineMeasurement> {
  const { id, rank, tokens, batch, budget, sustained: sustainedSeconds, threads, root } = options;
  const tree = openFileTree(root);
  const sampling = { clock, sleep: pause(signal), run: programRunner(environment) };
  // Before the model is loaded: training will hold it too.
  const memory = await readMemory(tree);
  const idle = conditionsOf(await sampleDevice(tree, sampling));
  const kernels = await openKernels({ threads });
  const base = await loadModel(await locateModel(model, { hubDirectory }), { kernels });
  try {
    const { rates, overheadSeconds } = await profileModel(base, {
      clock,
      budgetSeconds: budget,
      tokens,
      batch,
      rank,
      cpuSeconds,
    });
    const sustained =
      sustainedSeconds === undefined
        ? undefined
        : await sustain(
            base,
            { ...options, durationSeconds: sustainedSeconds },
            { clock, signal, environment },
          );
    const memoryBytes = memory?.availableBytes;
    if (memoryBytes === undefined)
      throw new CliError(
        'CLI_MACHINE_UNSUPPORTED',
        'profile',
        `there is no ${root}proc/meminfo to say how much memory is available; this works on Linux`,
      );
    const watts = sustained?.throttling.watts?.last;
    const known = {
      memoryBytes,
      overheadSeconds,
      ...(sustained && { sustainedShare: sustained.sustainedShare }),
      ...(watts !== undefined && { watts, ...(idle.watts !== undefined && { idleWatts: idle.watts }) }),
    };
    return {
      device: measuredDevice(rates, { id, ...known }),
      record: {
        of: 'device',
        id,
        at: now().toISOString(),
        model,
        backend: kernels.backend,
        threads,
        rank,
        batch,
        ...rates,
        ...known,
        idle,
        ...(sustained && { sustained: thinned(sustained) }),
      },
    };
  } finally {
    base.dispose();
  }
}

async function sustain(
  base: LoadedModel,
  { rank, tokens, batch, root, durationSeconds }: ProfileOptions & { readonly durationSeconds: number },
  { clock, signal, environment }: Pick<CommandContext, 'clock' | 'signal' | 'environment'>,
): Promise<SustainedRates> {
  const layer = measuredLayer(base, { rank, batch });
  // Loads and counted powers are means since the sample before, so nothing waits and the machine stays busy.
  const samples = watchDevice(openFileTree(root), {
    clock,
    sleep: () => Promise.resolve(),
    run: programRunner(environment),
    intervalSeconds: durationSeconds,
  });
  const next = async (): Promise<DeviceSample> => {
    const result = await samples.next();
    if (result.done === true) throw new Error('internal: samples ended');
    return result.value;
  };
  try {
    await next();
    return await measureSustained(layer, {
      clock,
      durationSeconds,
      tokens,
      sample: next,
      sampleEverySeconds: Math.max(1, durationSeconds / 60),
      signal,
    });
  } finally {
    layer.dispose();
  }
}

const seriesPoints = 60;

/** The rates as medians of at most sixty parts of the run. */
function thinned({ series, sustainedShare, throttling, conditions }: SustainedRates): {
  readonly sustainedShare: number;
  readonly throttling: SustainedRates['throttling'];
  readonly series: SustainedRates['series'];
  readonly conditions: readonly Conditions[];
} {
  const size = Math.max(1, Math.ceil(series.length / seriesPoints));
  const parts = Array.from({ length: Math.ceil(series.length / size) }, (_, part) =>
    series.slice(part * size, (part + 1) * size),
  );
  return {
    sustainedShare,
    throttling,
    series: parts.map((part) => ({
      atSeconds: part.at(-1)!.atSeconds,
      flopsPerSecond: part.map(({ flopsPerSecond }) => flopsPerSecond).sort((a, b) => a - b)[
        part.length >> 1
      ]!,
    })),
    conditions,
  };
}

async function measureLinks(
  endpoints: readonly LinkEndpoint[],
  { id, budget }: ProfileOptions,
  { clock, signal }: CommandContext,
): Promise<LinksMeasurement> {
  const options = { clock, budgetSeconds: budget, signal };
  const links: MeasuredLink[] = [];
  for (const endpoint of endpoints) {
    const link = await measureLink(endpoint, options);
    const sameName =
      link.peer === id ? 'this machine' : links.some(({ peer }) => peer === link.peer) && 'another';
    if (sameName)
      throw new CliError(
        'CLI_OPTIONS_INVALID',
        'profile',
        `the machine at ${endpoint.host} calls itself "${link.peer}", as ${sameName} does; give each a name of its own with --id`,
      );
    links.push(link);
  }
  const sharings: LinkSharing[] = [];
  for (const [first, firstEnd] of endpoints.entries())
    for (const [second, secondEnd] of endpoints.entries())
      if (first < second)
        sharings.push({
          ...(await measureSharing([firstEnd, secondEnd], {
            ...options,
            loss: Math.max(lossOf(links[first]!), lossOf(links[second]!)),
          })),
          links: [first, second],
        });
  return { links, sharings };
}

/** An abort ends it early. */
export const pause = (signal: AbortSignal) => (seconds: number) =>
  setTimeout(seconds * 1000, undefined, { signal }).catch(() => undefined);
