/** The settings at which each device may run: its modes, and what its profile says. */
import type { Cluster, DeviceProfile } from '../problem/cluster.js';
import { inMode } from '../problem/cluster-in-modes.js';

/** A mode's name, or undefined for the profile itself. */
export type Setting = string | undefined;

/** The settings of each device that keep to its power limit, fastest first. */
export const settingsWithin = ({ devices }: Cluster): Setting[][] =>
  devices.map(({ modes = [], ...device }) =>
    [
      { name: undefined, profile: device as DeviceProfile },
      ...modes.map((mode) => ({ name: mode.name, profile: inMode(device, mode) })),
    ]
      .filter(({ profile: { watts = 0, wattsLimit = Infinity } }) => watts <= wattsLimit)
      .sort(
        (a, b) =>
          meanRate(b.profile) - meanRate(a.profile) || (a.profile.watts ?? 0) - (b.profile.watts ?? 0),
      )
      .map(({ name }) => name),
  );

/** FLOP/s over forward, input and weight work in equal parts. */
export function meanRate({ flopsPerSecond }: DeviceProfile): number {
  if (typeof flopsPerSecond === 'number') return flopsPerSecond;
  const { forward, input, weight } = flopsPerSecond;
  return 3 / (1 / forward + 1 / input + 1 / weight);
}

/** Whether the plan must choose power modes or respect a limit. */
export const hasPowerChoices = ({ devices }: Cluster, joulesLimit: number | undefined): boolean =>
  joulesLimit !== undefined ||
  devices.some(
    (device) =>
      (device.modes ?? []).length > 0 || device.wattsLimit !== undefined || device.joulesLimit !== undefined,
  );
