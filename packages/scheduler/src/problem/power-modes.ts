/** The power modes of devices: the settings that each may run at, and a cluster in the modes that were chosen. */
import type { Cluster, DeviceProfile, PowerMode } from './cluster.js';
import { ownValue } from './names.js';
import { meanRate } from './rates.js';

/** The mode of each device, by id; a device that is not named runs as its profile says. */
export type ChosenModes = Readonly<Record<string, string>>;

/** The cluster with its devices in these modes and no modes left to choose from. Give it to `simulate` for a plan with modes. */
export const clusterInModes = ({ devices, ...rest }: Cluster, modes: ChosenModes): Cluster => ({
  ...rest,
  devices: devices.map(({ modes: offered = [], ...device }) => {
    const chosen = offered.find(({ name }) => name === ownValue(modes, device.id));
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

/** A device in one of its modes, or, without `mode`, as its profile says. */
export interface Setting {
  readonly mode: string | undefined;
  readonly device: DeviceProfile;
}

/** The settings of each device that keep to its power limit, fastest first. */
export const settingsWithin = ({ devices }: Cluster): Setting[][] =>
  devices.map(({ modes = [], ...device }) =>
    [{ mode: undefined, device }, ...modes.map((mode) => ({ mode: mode.name, device: inMode(device, mode) }))]
      .filter(({ device: { watts = 0, wattsLimit = Infinity } }) => watts <= wattsLimit)
      .sort(({ device: a }, { device: b }) => meanRate(b) - meanRate(a) || (a.watts ?? 0) - (b.watts ?? 0)),
  );

/** Whether the plan must choose power modes or respect a limit. */
export const hasPowerChoices = ({ devices }: Cluster, joulesLimit: number | undefined): boolean =>
  joulesLimit !== undefined ||
  devices.some(
    (device) =>
      (device.modes ?? []).length > 0 || device.wattsLimit !== undefined || device.joulesLimit !== undefined,
  );
