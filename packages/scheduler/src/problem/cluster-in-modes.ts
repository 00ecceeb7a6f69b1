/** A cluster with its devices in chosen power modes. */
import type { Cluster, DeviceProfile, PowerMode } from './cluster.js';
import { ownValue } from './own-value.js';

/** The mode of each device, by id; a device that is not named runs as its profile says. */
export type ChosenModes = Readonly<Record<string, string>>;

/** The cluster with its devices in these modes and no modes left to choose from. Give it to `simulate` for a plan with modes. */
export const clusterInModes = ({ devices, links }: Cluster, modes: ChosenModes): Cluster => ({
  links,
  devices: devices.map(({ modes: offered = [], ...device }) => {
    const chosen = offered.find(({ name }) => name === ownValue(modes, device.id));
    return chosen ? inMode(device, chosen) : device;
  }),
});

export function inMode(device: DeviceProfile, mode: PowerMode): DeviceProfile {
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
