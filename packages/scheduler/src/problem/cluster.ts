/** The devices and how they reach each other, as plain values. */

/** FLOP/s that a device really reaches, by kind of work. */
export interface ComputeRates {
  readonly forward: number;
  readonly input: number;
  readonly weight: number;
}

export interface DeviceProfile {
  readonly id: string;
  /** Measured, not the data sheet's peak; one number when all kinds of work run at the same rate. */
  readonly flopsPerSecond: number | ComputeRates;
  /** Memory that training may use. */
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
  /** Other settings at which it can run, besides the one this profile describes; the planner chooses. */
  readonly modes?: readonly PowerMode[];
  /** Most power it may draw while computing: what its supply delivers or its cooling removes. */
  readonly wattsLimit?: number;
  /** Most energy it may use in total: what its battery holds. */
  readonly joulesLimit?: number;
  /** Share of its rates that a hot device sustains, above 0 and at most 1; 1 when absent. */
  readonly sustainedShare?: number;
}

/** A setting of a device, such as nvpmodel's modes; what it leaves out is as in the device's profile. */
export interface PowerMode {
  readonly name: string;
  readonly flopsPerSecond: number | ComputeRates;
  readonly watts?: number;
  readonly idleWatts?: number;
  readonly memoryBytes?: number;
  readonly overheadSeconds?: number;
}

/**
 * A link between two devices; it serves both directions unless the other direction is listed too.
 *
 * `'*'` stands for any device; a link that names both devices takes precedence over one that names one, and that over `'*'` on both sides.
 */
export interface LinkProfile {
  readonly from: string;
  readonly to: string;
  readonly bytesPerSecond: number;
  readonly latencySeconds: number;
  /** Share of bytes lost and sent again, from 0 to below 1; 0 when absent. */
  readonly loss?: number;
  /** Links of one medium (a Wi-Fi channel) share its airtime; a link without one has its full rate in each direction. */
  readonly medium?: string;
}

export interface Cluster {
  readonly devices: readonly DeviceProfile[];
  readonly links: readonly LinkProfile[];
  /** Devices that hold the base before the start; all when absent. The others fetch it from the keeper. */
  readonly resident?: readonly string[];
  /** Device that holds the base and collects finished segments; when absent, they stay where they were trained. */
  readonly keeper?: string;
}

/** The cluster with a share of every device's memory left free. */
export const usableCluster = (cluster: Cluster, memoryReserve: number): Cluster => ({
  ...cluster,
  devices: cluster.devices.map((device) => ({
    ...device,
    memoryBytes: device.memoryBytes * (1 - memoryReserve),
  })),
});
