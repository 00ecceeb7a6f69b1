/** The devices and how they reach each other, as plain values. */

/** FLOP/s that a device reaches when so many samples are computed at once. */
export interface RatePoint {
  readonly samples: number;
  readonly flopsPerSecond: number;
}

/** FLOP/s: one number, or points by rising `samples`; linear between them, constant outside. */
export type Rate = number | readonly RatePoint[];

/** Rates that a device really reaches, by kind of work. */
export interface ComputeRates {
  readonly forward: Rate;
  readonly input: Rate;
  readonly weight: Rate;
}

export interface DeviceProfile {
  readonly id: string;
  /** Measured, not the data sheet's peak; one rate when all kinds of work run at the same. */
  readonly flopsPerSecond: Rate | ComputeRates;
  /** Format of the frozen weights that the rates were measured with, where it was not float32: products of other formats run at others. */
  readonly base?: string;
  /** Memory that training may use. */
  readonly memoryBytes: number;
  /** Fixed time of every layer in a forward and in a backward pass, and of an update (launches, bookkeeping); 0 when absent. */
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
  readonly flopsPerSecond: Rate | ComputeRates;
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
  /** Whether an access point passes every message on: it crosses twice, and rate and latency are those of one crossing. */
  readonly relayed?: boolean;
}

export interface Cluster {
  readonly devices: readonly DeviceProfile[];
  readonly links: readonly LinkProfile[];
  /** Ids of the devices that hold the base before the start; all of them when absent. */
  readonly resident?: readonly string[];
  /** Id of the device that holds the base and collects the finished segments; when absent, segments stay where they were trained. */
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
