/** `contextlora profile --measure MODEL`: the speed, memory and power of this machine. */
import {
  type Conditions,
  conditionsOf,
  type DeviceSample,
  measuredDevice,
  measureSustained,
  openFileTree,
  readMemory,
  sampleDevice,
  type SustainedRates,
  watchDevice,
} from '@contextlora/jetson';
import { openKernels } from '@contextlora/kernels';
import { type LoadedModel, loadModel, locateModel } from '@contextlora/model';
import type { DeviceProfile, MeasuredRecord } from '@contextlora/scheduler';
import { measuredLayer, profileModel } from '@contextlora/workloads';

import { CliError } from '../cli-error.js';
import type { CommandContext } from '../command-context.js';
import { pause } from '../pause.js';
import type { ProfileOptions } from './profile-options.js';
import { programRunner } from './run-program.js';

/** A measured device and a record of the measurement. */
export interface MachineMeasurement {
  readonly device: DeviceProfile;
  readonly record: MeasuredRecord;
}

/** Measures a model's layers on this machine and, if asked, how much of their rate lasts. */
export async function measureMachine(
  model: string,
  options: ProfileOptions,
  { clock, cpuSeconds, signal, environment, hubDirectory, now }: CommandContext,
): Promise<MachineMeasurement> {
  const {
    id,
    base: format,
    rank,
    tokens,
    batch,
    budget,
    sustained: sustainedSeconds,
    threads,
    root,
  } = options;
  const tree = openFileTree(root);
  const sampling = { clock, sleep: pause(signal), run: programRunner(environment) };
  // Measured before the model is loaded, since training holds the model too.
  const memory = await readMemory(tree);
  const idle = conditionsOf(await sampleDevice(tree, sampling));
  const kernels = await openKernels({ threads });
  const base = await loadModel(await locateModel(model, { hubDirectory }), {
    kernels,
    ...(format === undefined ? {} : { base: format }),
  });
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
      ...(format === undefined || format === 'f32' ? {} : { base: format }),
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
  // Loads and counted energy are means since the previous sample, so no pause is needed and the machine stays busy.
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

/** Rates as medians over at most sixty parts of the run. */
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
