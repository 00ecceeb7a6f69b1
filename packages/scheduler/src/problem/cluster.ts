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
