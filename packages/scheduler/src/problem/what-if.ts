/** Changes to a cluster in a few words, to ask "what if?" of a plan. */
import { SchedulerError } from '../scheduler-error.js';
import type { Cluster, DeviceProfile } from './cluster.js';
import { scaleRates } from './rates.js';

const bitsPerSecond = { kbit: 1e3, mbit: 1e6, gbit: 1e9 } as const;
const byteUnits = { mb: 1e6, gb: 1e9, mib: 2 ** 20, gib: 2 ** 30 } as const;

/**
 * The cluster after the changes, which are separated by commas:
 *
 *   drop orin-2             without the device and its links
 *   wifi=50Mbit             the rate of a shared medium; `links=…` that of all links
 *   nano.memory=2GiB        the memory of a device that training may use
 *   nano.speed=0.5          a device at a share of its speed
 *
 * @throws SchedulerError that lists every change that makes no sense, with what could be changed.
 */
export function applyWhatIf(cluster: Cluster, changes: string): Cluster {
  const problems: string[] = [];
  let { devices, links, resident, keeper } = cluster;
  const names = () => devices.map(({ id }) => id).join(', ');
  for (const change of changes.split(',').map((text) => text.trim())) {
    const drop = /^drop\s+(\S+)$/.exec(change);
    const rate = /^([^\s.=]+)\s*=\s*(\d+(?:\.\d+)?)\s*(kbit|Mbit|Gbit)(?:\/s)?$/i.exec(change);
    const memory = /^(\S+)\.memory\s*=\s*(\d+(?:\.\d+)?)\s*(MB|GB|MiB|GiB)$/i.exec(change);
    const speed = /^(\S+)\.speed\s*=\s*(\d+(?:\.\d+)?)$/.exec(change);
    const id = drop?.[1] ?? memory?.[1] ?? speed?.[1];
    if (id !== undefined && !devices.some((device) => device.id === id)) {
      problems.push(`"${change}": there is no device "${id}"; there are ${names()}`);
      continue;
    }
    if (drop) {
      devices = devices.filter((device) => device.id !== id);
      links = links.filter(({ from, to }) => from !== id && to !== id);
      resident = resident?.filter((name) => name !== id);
      if (keeper === id) keeper = undefined;
    } else if (rate) {
      const [, name = '', amount, unit = ''] = rate;
      const bytesPerSecond =
        (Number(amount) * bitsPerSecond[unit.toLowerCase() as keyof typeof bitsPerSecond]) / 8;
      const isMeant = (medium: string | undefined) => name === 'links' || medium === name;
      if (bytesPerSecond === 0) problems.push(`"${change}": a rate must be above 0; drop the device instead`);
      else if (!links.some(({ medium }) => isMeant(medium)))
        problems.push(`"${change}": there is no medium "${name}"; there are ${mediaOf(cluster)}`);
      else links = links.map((link) => (isMeant(link.medium) ? { ...link, bytesPerSecond } : link));
    } else if (memory) {
      const [, , amount, unit = ''] = memory;
      const memoryBytes = Number(amount) * byteUnits[unit.toLowerCase() as keyof typeof byteUnits];
      devices = devices.map((device) => (device.id === id ? { ...device, memoryBytes } : device));
    } else if (speed && Number(speed[2]) > 0) {
      const factor = Number(speed[2]);
      devices = devices.map((device) => (device.id === id ? atSpeed(device, factor) : device));
    } else
      problems.push(
        `"${change}" is no change; write "drop DEVICE", "MEDIUM=50Mbit", "links=50Mbit", "DEVICE.memory=2GiB" or "DEVICE.speed=0.5"`,
      );
  }
  if (devices.length === 0) problems.push(`"${changes}" leaves no device`);
  if (problems.length > 0)
    throw new SchedulerError('SCHEDULER_INPUT_INVALID', 'applyWhatIf', problems.join('\n  '));
  return { devices, links, ...(resident && { resident }), ...(keeper !== undefined && { keeper }) };
}

const atSpeed = ({ modes, ...device }: DeviceProfile, factor: number): DeviceProfile => ({
  ...device,
  flopsPerSecond: scaleRates(device.flopsPerSecond, factor),
  ...(modes
    ? {
        modes: modes.map((mode) => ({ ...mode, flopsPerSecond: scaleRates(mode.flopsPerSecond, factor) })),
      }
    : {}),
});

const mediaOf = ({ links }: Cluster): string => {
  const media = [...new Set(links.flatMap(({ medium }) => (medium === undefined ? [] : [medium])))];
  return media.length > 0 ? `${media.join(', ')} and links` : 'links';
};
