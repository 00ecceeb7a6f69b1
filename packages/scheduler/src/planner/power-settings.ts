/** The settings each device may run at, and a cluster with its devices in chosen ones. */
import type { Cluster, DeviceProfile, PowerMode } from '../problem/cluster.js';
import { ownValue } from '../problem/own-value.js';

/** Which mode each device runs at, by id; a device that is not named runs as its profile says. */
export type ChosenModes = Readonly<Record<string, string>>;

/** The cluster with its devices in these modes; it has no modes left to choose from. Give it to `simulate` for a plan with modes. */
export const clusterInModes = ({ devices, links }: Cluster, modes: ChosenModes): Cluster => ({
  links,
  devices: devices.map(({ modes: own = [], ...device }) => {
    const chosen = own.find(({ name }) => name === ownValue(modes, device.id));
    return chosen ? inMode(device, chosen) : device;
  }),
});

function inMode(device: DeviceProfile, mode: PowerMode): DeviceProfile {
  const { flopsPerSecond, watts, idleWatts, memoryBytes, overheadSeconds } = mode;
  return {
    ...device,
    flopsPerSecond,
    ...(watts === undefined ? {} : { watts }),
    ...(idleWatts === undefined ? {} : { idleWatts }),
    ...(memoryBytes === undefined ? {} : { memoryBytes: Math.min(memoryBytes, device.memoryBytes) }),
    ...(overheadSeconds === undefined ? {} : { overheadSeconds }),
  };
}

/** A mode's name, or undefined for the profile itself. */
export type Setting = string | undefined;

/** Of each device the settings within its power limit, fastest first. */
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

/** Whether anything about power is to be decided or kept. */
export const hasPowerChoices = ({ devices }: Cluster, joulesLimit: number | undefined): boolean =>
  joulesLimit !== undefined ||
  devices.some(
    ({ modes = [], wattsLimit, joulesLimit: own }) =>
      modes.length > 0 || wattsLimit !== undefined || own !== undefined,
  );
