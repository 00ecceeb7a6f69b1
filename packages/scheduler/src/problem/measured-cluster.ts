/** Cluster files that machines write about themselves, and how several make one cluster. */
import { SchedulerError } from '../scheduler-error.js';
import type { Cluster, DeviceProfile, LinkProfile } from './cluster.js';

/** How a figure of a cluster was measured: spreads, settings, time. The planner does not read it. */
export interface MeasuredRecord {
  readonly of: 'device' | 'links';
  readonly id: string;
  /** ISO 8601 */
  readonly at: string;
  readonly [detail: string]: unknown;
}

export interface MeasuredCluster extends Cluster {
  readonly measured?: readonly MeasuredRecord[];
}

export interface Measurement {
  readonly id: string;
  readonly device?: DeviceProfile;
  readonly links?: readonly LinkProfile[];
  readonly records: readonly MeasuredRecord[];
}

/** The cluster with new measurements in place of what it said of this device and of links between the same two. */
export function withMeasured(
  { devices, links, measured = [], ...rest }: MeasuredCluster,
  { device, links: newLinks = [], records }: Measurement,
): MeasuredCluster {
  const isNew = ({ from, to }: LinkProfile) => newLinks.some((link) => link.from === from && link.to === to);
  const isRecorded = ({ of, id }: MeasuredRecord) =>
    records.some((record) => record.of === of && record.id === id);
  return {
    ...rest,
    devices: device ? [...devices.filter(({ id }) => id !== device.id), device] : devices,
    links: [...links.filter((link) => !isNew(link)), ...newLinks],
    measured: [...measured.filter((record) => !isRecorded(record)), ...records],
  };
}

export interface ClusterFile {
  readonly path: string;
  readonly cluster: MeasuredCluster;
}

export interface MergedCluster {
  readonly cluster: Cluster;
  /** Devices to which links were measured but which no file describes; their links are left out. */
  readonly unknownPeers: readonly string[];
}

/**
 * One cluster of several files: a link that is in two files is taken from the first, and `resident` holds those of all that have it.
 *
 * @throws SchedulerError when a device, or the keeper, is in two files with different figures.
 */
export function mergeClusters(files: readonly ClusterFile[]): MergedCluster {
  const [only] = files;
  if (only && files.length === 1 && only.cluster.measured === undefined)
    return { cluster: only.cluster, unknownPeers: [] };
  const devices = new Map<string, { readonly device: DeviceProfile; readonly path: string }>();
  const links = new Map<string, LinkProfile>();
  let others: Partial<MeasuredCluster> = {};
  for (const { path, cluster } of files) {
    const { keeper, resident } = cluster;
    if (others.keeper !== undefined && keeper !== undefined && others.keeper !== keeper)
      throw new SchedulerError(
        'SCHEDULER_INPUT_INVALID',
        'mergeClusters',
        `the keeper is "${keeper}" in ${path} and "${others.keeper}" in a file before it; name one`,
      );
    const all = [...new Set([...(others.resident ?? []), ...(resident ?? [])])];
    others = { ...others, ...cluster, ...((others.resident ?? resident) && { resident: all }) };
    for (const device of cluster.devices) {
      const known = devices.get(device.id);
      if (known && JSON.stringify(known.device) !== JSON.stringify(device))
        throw new SchedulerError(
          'SCHEDULER_INPUT_INVALID',
          'mergeClusters',
          `device "${device.id}" is in ${known.path} and, with other figures, in ${path}; leave one of the files out, or measure each machine under its own name (--id)`,
        );
      devices.set(device.id, known ?? { device, path });
    }
    for (const link of cluster.links) {
      const ends = JSON.stringify([link.from, link.to]);
      if (!links.has(ends)) links.set(ends, link);
    }
  }
  const isKnown = (id: string) => id === '*' || devices.has(id);
  const all = [...links.values()];
  const missing = all.flatMap(({ from, to }) => [from, to]).filter((id) => !isKnown(id));
  const kept = Object.entries(others).filter(([key]) => key !== 'measured');
  return {
    cluster: {
      ...(Object.fromEntries(kept) as typeof others),
      devices: [...devices.values()].map(({ device }) => device),
      links: all.filter(({ from, to }) => isKnown(from) && isKnown(to)),
    },
    unknownPeers: [...new Set(missing)].sort(),
  };
}
