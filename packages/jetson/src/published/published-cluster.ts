/** Published boards as a cluster for the scheduler. */
import type { Cluster, DeviceProfile, PowerMode } from '@contextlora/scheduler';

import { JetsonError } from '../jetson-error.js';
import {
  boardList,
  type PublishedMode,
  type PublishedProfile,
  publishedProfiles,
} from './published-profiles.js';

/** What no publication states; the same for all boards. */
export interface PublishedAssumptions {
  /** Share of the peak that a training step reaches. */
  readonly utilisation: number;
  /** Share of the memory that training may use. */
  readonly memoryShare: number;
  /** Share of the nominal memory that the operating system reports, for boards of which we have no report. */
  readonly reportedShare: number;
  /** Power while idle, as a share of the mode's budget. */
  readonly idleShare: number;
  /** Fixed time per layer of a pass: some 60 kernels of a decoder layer with adapters, launched in about 15 µs each. */
  readonly overheadSeconds: number;
  readonly latencySeconds: number;
}

export const publishedAssumptions: PublishedAssumptions = {
  utilisation: 0.3,
  memoryShare: 0.5,
  reportedShare: 0.9,
  idleShare: 0.3,
  overheadSeconds: 0.001,
  latencySeconds: 0.003,
};

export interface PublishedClusterOptions {
  readonly megabitsPerSecond: number;
  /** Whether all links share one airtime (Wi-Fi), or each has the full rate (a switch). */
  readonly sharedMedium: boolean;
  readonly assumptions?: Partial<PublishedAssumptions>;
}

/**
 * Builds a cluster of boards in their default modes, with the other modes to choose from and the same link between all.
 *
 * Modes without a published budget (MAXN of most boards) are left out, because their power would be a guess. A mode's rate is the peak times
 * its share of cores and clock. Repeated ids are numbered: `nano`, `nano-no2`.
 *
 * @throws JetsonError with all problems at once if an id is unknown or the rate is not a positive number.
 */
export function publishedCluster(
  ids: readonly string[],
  { megabitsPerSecond, sharedMedium, assumptions = {} }: PublishedClusterOptions,
): Cluster {
  const profiles = ids.map((id) => publishedProfiles.find((profile) => profile.id === id));
  const unknown = ids.flatMap((id, index) =>
    profiles[index] ? [] : [`ids[${index}]: there is no board "${id}"`],
  );
  const problems = [
    ...unknown,
    ...(ids.length === 0 ? ['ids: none given'] : []),
    ...(megabitsPerSecond > 0 && Number.isFinite(megabitsPerSecond)
      ? []
      : [`megabitsPerSecond: must be a number above 0, got ${megabitsPerSecond}`]),
  ];
  if (problems.length > 0)
    throw new JetsonError(
      unknown.length > 0 ? 'JETSON_BOARD_UNKNOWN' : 'JETSON_ARGUMENT_INVALID',
      'publishedCluster',
      `${problems.join('; ')}${unknown.length > 0 || ids.length === 0 ? `; boards are ${boardList()}` : ''}`,
      { problems },
    );

  const given = { ...publishedAssumptions, ...assumptions };
  const seen = new Map<string, number>();
  const devices = profiles
    .filter((profile) => profile !== undefined)
    .map((profile) => {
      const number = (seen.get(profile.id) ?? 0) + 1;
      seen.set(profile.id, number);
      return deviceOf(profile, number === 1 ? profile.id : `${profile.id}-no${number}`, given);
    });
  return {
    devices,
    links: [
      {
        from: '*',
        to: '*',
        bytesPerSecond: (megabitsPerSecond * 1e6) / 8,
        latencySeconds: given.latencySeconds,
        ...(sharedMedium && { medium: 'wifi' }),
      },
    ],
  };
}

function deviceOf(profile: PublishedProfile, id: string, given: PublishedAssumptions): DeviceProfile {
  const rated = profile.modes.filter(({ watts }) => watts !== undefined);
  const usual = rated.find(({ isDefault }) => isDefault) ?? rated[0];
  if (!usual) throw new Error(`internal: no mode of the board "${profile.id}" has a budget`);
  const usable = profile.usableMemoryBytes?.value ?? profile.memoryBytes.value * given.reportedShare;
  const others = rated
    .filter((mode) => mode !== usual)
    .map((mode): PowerMode => ({ name: mode.name, ...settingOf(profile, mode, given) }));
  return {
    id,
    ...settingOf(profile, usual, given),
    memoryBytes: Math.round(usable * given.memoryShare),
    overheadSeconds: given.overheadSeconds,
    ...(others.length > 0 && { modes: others }),
  };
}

/** rate = utilisation × peak × (cores on × clock) / (all cores × highest clock) */
function settingOf({ gpu }: PublishedProfile, mode: PublishedMode, given: PublishedAssumptions) {
  const share = (mode.gpuCores.value * mode.gpuMegahertz.value) / (gpu.cores.value * gpu.megahertz.value);
  const watts = mode.watts?.value;
  return {
    flopsPerSecond: given.utilisation * gpu.fp16FlopsPerSecond.value * share,
    ...(watts !== undefined && { watts, idleWatts: watts * given.idleShare }),
  };
}
