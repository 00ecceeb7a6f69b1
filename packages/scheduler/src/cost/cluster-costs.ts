/** A cluster in the form in which costs are asked for: rates by device, routes between them. */
import type { Cluster, ComputeRates, Rate } from '../problem/cluster.js';
import { lookUp } from '../problem/names.js';
import { fastestRate, rateOf, scaleRate } from '../problem/rates.js';
import { resolveRoutes, type Route, type Routes } from './routes.js';

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
  /** Index of the first device with which it could change places; its own index where there is none. */
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
  const routes = resolveRoutes(cluster);
  const interchangeable = interchangeableDevices(cluster, routes);
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
    routes,
    deviceIndex,
    deviceNamed: (id) => devices[deviceIndex(id)]!,
  };
}

/**
 * For each device the index of the first one like it: the same but for its name, and reached in the same way by every other device, so that
 * exchanging the two changes nothing. A device like two others makes those alike, so one of each kind need be compared.
 */
function interchangeableDevices({ devices, links, resident, keeper }: Cluster, routes: Routes): number[] {
  const all = [...devices.keys()];
  const indexOf = new Map(devices.map(({ id }, index) => [id, index]));
  // Links that name one device, or none, reach all others alike; where they differ, every other device is compared.
  const neighbours = devices.map(() => new Set<number>());
  const stars = devices.map((): string[] => []);
  for (const { from, to, ...link } of links) {
    const [source, target] = [indexOf.get(from), indexOf.get(to)];
    if (source !== undefined && target !== undefined) {
      neighbours[source]!.add(target);
      neighbours[target]!.add(source);
    } else if (source !== undefined) stars[source]!.push(JSON.stringify(['to', link]));
    else if (target !== undefined) stars[target]!.push(JSON.stringify(['from', link]));
  }
  const same = (a: Route | undefined, b: Route | undefined) =>
    a?.bytesPerSecond === b?.bytesPerSecond &&
    a?.latencySeconds === b?.latencySeconds &&
    a?.medium === b?.medium;
  const alike = (a: number, b: number) => {
    const others =
      stars[a]!.join() === stars[b]!.join() ? new Set([...neighbours[a]!, ...neighbours[b]!]) : all;
    for (const other of others)
      if (other !== a && other !== b)
        if (
          !same(routes.route(a, other), routes.route(b, other)) ||
          !same(routes.route(other, a), routes.route(other, b))
        )
          return false;
    return same(routes.route(a, b), routes.route(b, a));
  };
  const kinds = new Map<string, number[]>();
  return devices.map((device, index) => {
    const { id, ...profile } = device;
    const look = JSON.stringify([profile, resident?.includes(id), keeper === id]);
    const firsts = kinds.get(look) ?? [];
    kinds.set(look, firsts);
    const found = firsts.find((first) => alike(first, index));
    if (found === undefined) firsts.push(index);
    return found ?? index;
  });
}
