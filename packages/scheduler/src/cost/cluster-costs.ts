/** A cluster in the form in which costs are asked for: rates by device, routes between them. */
import type { Cluster, ComputeRates, Rate } from '../problem/cluster.js';
import { lookUp } from '../problem/names.js';
import { fastestRate, rateOf, scaleRate } from '../problem/rates.js';
import { resolveRoutes, type Routes } from './routes.js';

export interface DeviceCosts {
  readonly id: string;
  readonly rates: Readonly<Record<keyof ComputeRates, Rate>>;
  /** The highest of each of the rates. */
  readonly forwardRate: number;
  readonly inputRate: number;
  readonly weightRate: number;
  readonly memoryBytes: number;
  readonly overheadSeconds: number;
  readonly storageBytesPerSecond: number;
  /** Index of the first device that differs only in name; its own index where there is none, or where a link names the device. */
  readonly interchangeableWith: number;
}

/** A cluster, resolved once for many workloads. */
export interface ClusterCosts {
  readonly cluster: Cluster;
  readonly devices: readonly DeviceCosts[];
  readonly routes: Routes;
  readonly deviceIndex: (id: string) => number;
  readonly deviceNamed: (id: string) => DeviceCosts;
}

export function openCluster(cluster: Cluster): ClusterCosts {
  const deviceIndices = new Map(cluster.devices.map(({ id }, index) => [id, index]));
  const deviceIndex = lookUp(deviceIndices, 'device');
  const interchangeable = interchangeableDevices(cluster);
  const devices = cluster.devices.map((device, index): DeviceCosts => {
    const of = (kind: keyof ComputeRates) => scaleRate(rateOf(device, kind), device.sustainedShare ?? 1);
    const rates = { forward: of('forward'), input: of('input'), weight: of('weight') };
    return {
      id: device.id,
      rates,
      forwardRate: fastestRate(rates.forward),
      inputRate: fastestRate(rates.input),
      weightRate: fastestRate(rates.weight),
      memoryBytes: device.memoryBytes,
      overheadSeconds: device.overheadSeconds ?? 0,
      storageBytesPerSecond: device.storageBytesPerSecond ?? Infinity,
      interchangeableWith: interchangeable[index]!,
    };
  });
  return {
    cluster,
    devices,
    routes: resolveRoutes(cluster),
    deviceIndex,
    deviceNamed: (id) => devices[deviceIndex(id)]!,
  };
}

/** For each device the index of the first one like it. */
function interchangeableDevices({ devices, links }: Cluster): number[] {
  const named = new Set(links.flatMap(({ from, to }) => [from, to]));
  const first = new Map<string, number>();
  return devices.map((device, index) => {
    const look = named.has(device.id) ? `named ${device.id}` : JSON.stringify({ ...device, id: '' });
    if (!first.has(look)) first.set(look, index);
    return first.get(look)!;
  });
}
