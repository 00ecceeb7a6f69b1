/** The devices at hand and how they reach each other, as plain values. */

/** FLOP/s a device really reaches, by kind of work. */
export interface ComputeRates {
  readonly forward: number;
  readonly input: number;
  readonly weight: number;
}

export interface DeviceProfile {
  readonly id: string;
  /** Measured, not the data sheet's peak; one number when all kinds of work run alike. */
  readonly flopsPerSecond: number | ComputeRates;
  /** What training may use. */
  readonly memoryBytes: number;
  /** Fixed time of every compute instruction (launches, bookkeeping); 0 when absent. */
  readonly overheadSeconds?: number;
  /** Power while computing; energy is reported only where it is known. */
  readonly watts?: number;
  /** Power while waiting; 0 when absent. */
  readonly idleWatts?: number;
  /** Disk or flash for activation caches. */
  readonly storageBytes?: number;
  readonly storageBytesPerSecond?: number;
  /** Other settings it can run at, beside the one this profile describes; the planner chooses. */
  readonly modes?: readonly PowerMode[];
  /** Most power it may draw while computing: what its supply gives or its cooling takes away. */
  readonly wattsLimit?: number;
  /** Most energy it may use in all: what its battery holds. */
  readonly joulesLimit?: number;
  /** Share of its rates that a hot device keeps under lasting load, above 0 to 1; 1 when absent. */
  readonly sustainedShare?: number;
}

/** A setting of a device, as nvpmodel's modes are; what it leaves out is as in the device's profile. */
export interface PowerMode {
  readonly name: string;
  readonly flopsPerSecond: number | ComputeRates;
  readonly watts?: number;
  readonly idleWatts?: number;
  readonly memoryBytes?: number;
  readonly overheadSeconds?: number;
}

/**
 * A link between two devices, good for both directions unless the other direction is listed too.
 *
 * `'*'` stands for any device; a link that names both devices goes before one that names one, and that before `'*'` on both sides.
 */
export interface LinkProfile {
  readonly from: string;
  readonly to: string;
  readonly bytesPerSecond: number;
  readonly latencySeconds: number;
  /** Share of bytes lost and sent again, 0 (inclusive) to 1; 0 when absent. */
  readonly loss?: number;
  /** Links of one medium (a Wi-Fi channel) divide its airtime; a link without one has its rate to itself, in each direction. */
  readonly medium?: string;
}

export interface Cluster {
  readonly devices: readonly DeviceProfile[];
  readonly links: readonly LinkProfile[];
}

/** The cluster with a share of every device's memory left free. */
export const usableCluster = (cluster: Cluster, memoryReserve: number): Cluster => ({
  ...cluster,
  devices: cluster.devices.map((device) => ({
    ...device,
    memoryBytes: device.memoryBytes * (1 - memoryReserve),
  })),
});

/** A resolved link. `medium` is the index of a shared medium, -1 for none. */
export interface Route {
  /** After losses. */
  readonly bytesPerSecond: number;
  readonly latencySeconds: number;
  readonly medium: number;
  /** Index of the link that serves it, in the cluster's list. */
  readonly link: number;
}

/** Answers which link, if any, leads from one device to another (by index). */
export interface Routes {
  readonly media: readonly string[];
  route(from: number, to: number): Route | undefined;
}

export function resolveRoutes({ devices, links }: Cluster): Routes {
  const indexOf = new Map(devices.map(({ id }, index) => [id, index]));
  const media: string[] = [];
  const count = devices.length + 1; // the last index stands for '*'
  const table = new Map<number, Route>();
  const reversed = new Map<number, Route>();
  for (const [index, link] of links.entries()) {
    const from = link.from === '*' ? devices.length : indexOf.get(link.from);
    const to = link.to === '*' ? devices.length : indexOf.get(link.to);
    if (from === undefined || to === undefined) continue;
    if (link.medium !== undefined && !media.includes(link.medium)) media.push(link.medium);
    const route: Route = {
      bytesPerSecond: link.bytesPerSecond * (1 - (link.loss ?? 0)),
      latencySeconds: link.latencySeconds,
      medium: link.medium === undefined ? -1 : media.indexOf(link.medium),
      link: index,
    };
    if (!table.has(from * count + to)) table.set(from * count + to, route);
    if (!reversed.has(to * count + from)) reversed.set(to * count + from, route);
  }
  const any = devices.length;
  const between = (from: number, to: number): Route | undefined =>
    table.get(from * count + to) ?? reversed.get(from * count + to);
  return {
    media,
    route(from, to) {
      if (from === to) return undefined;
      return between(from, to) ?? between(from, any) ?? between(any, to) ?? between(any, any);
    },
  };
}
