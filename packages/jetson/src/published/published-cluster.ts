/** Published boards as a cluster that the scheduler plans for. */
import type { Cluster, DeviceProfile, PowerMode } from '@contextlora/scheduler';

import { type PublishedMode, type PublishedProfile, publishedProfiles } from './published-profiles.js';

/** What no publication says. The same for all boards. */
export interface PublishedAssumptions {
  /** Share of the peak that a training step reaches. */
  readonly utilisation: number;
  /** Share of the memory that training may use. */
  readonly memoryShare: number;
  /** Share of the nominal memory that the operating system has, where no board reported it. */
  readonly reportedShare: number;
  /** Power while waiting, as a share of the mode's. */
  readonly idleShare: number;
  /** Of an instruction: launches and bookkeeping. */
  readonly overheadSeconds: number;
  readonly latencySeconds: number;
}

export const publishedAssumptions: PublishedAssumptions = {
  utilisation: 0.3,
  memoryShare: 0.5,
  reportedShare: 0.9,
  idleShare: 0.3,
  overheadSeconds: 0.002,
  latencySeconds: 0.003,
};

export interface PublishedClusterOptions {
  readonly megabitsPerSecond: number;
  /** All links divide one airtime (Wi-Fi); else each has its rate to itself (a switch). */
  readonly sharedMedium: boolean;
  readonly assumptions?: Partial<PublishedAssumptions>;
}

/**
 * The boards, each in its default mode, with its other modes to choose from, and one kind of link between all.
 *
 * A mode without a published budget (MAXN of most boards) is left out: its power would be made up. A mode's rate is the peak's share
 * by cores and clock. An id that comes again is numbered: `nano`, `nano-no2`.
 *
 * @throws if an id is unknown or the rate is no positive number; all at once.
 */
export function publishedCluster(
  ids: readonly string[],
  { megabitsPerSecond, sharedMedium, assumptions = {} }: PublishedClusterOptions,
): Cluster {
  const problems = ids.flatMap((id, index) => {
    const problem = unknownProfile(id);
    return problem === undefined ? [] : [`ids[${index}]: ${problem}`];
  });
  if (ids.length === 0) problems.push('ids: none given');
  const hasUnknown = problems.length > 0;
  if (!(megabitsPerSecond > 0 && Number.isFinite(megabitsPerSecond)))
    problems.push(`megabitsPerSecond: must be a number above 0, got ${megabitsPerSecond}`);
  if (problems.length > 0)
    throw new Error(
      `jetson/publishedCluster: ${problems.join('; ')}${hasUnknown ? `; boards are ${boardList()}` : ''}`,
    );

  const given = { ...publishedAssumptions, ...assumptions };
  const seen = new Map<string, number>();
  const devices = ids.map((id) => {
    const times = (seen.get(id) ?? 0) + 1;
    seen.set(id, times);
    return deviceOf(publishedProfile(id), times === 1 ? id : `${id}-no${times}`, given);
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

/**
 * The profile with an id.
 *
 * @throws if there is none, with the list.
 */
export function publishedProfile(id: string): PublishedProfile {
  const profile = publishedProfiles.find((one) => one.id === id);
  if (profile) return profile;
  throw new Error(`jetson/publishedProfile: ${unknownProfile(id) ?? id}; boards are ${boardList()}`);
}

const boardList = () => publishedProfiles.map(({ id }) => id).join(', ');

const unknownProfile = (id: string): string | undefined =>
  publishedProfiles.some((profile) => profile.id === id) ? undefined : `there is no board "${id}"`;

function deviceOf(profile: PublishedProfile, id: string, given: PublishedAssumptions): DeviceProfile {
  const rated = profile.modes.filter(({ watts }) => watts !== undefined);
  const usual = rated.find(({ isDefault }) => isDefault) ?? rated[0]!;
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
