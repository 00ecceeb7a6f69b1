/**
 * Sets of devices that may become lanes: all of them for few devices; for many every single device, the fastest k, the largest k, each
 * medium's fastest k and all of them alone, and divisions of the cluster into lanes of about equal speed.
 */
import type { ClusterCosts } from '../cost/cluster-costs.js';
import { limits } from '../search/effort.js';

/** Device indices, ascending; smaller sets first, equal sizes in a fixed order. `widest`: jobs that could run at the same time. */
export function deviceSets(opened: ClusterCosts, widest: number): number[][] {
  const { devices } = opened;
  const all = [...devices.keys()];
  if (all.length <= limits.allDeviceSets) return subsetsOf(all);
  const sets: number[][] = all.map((device) => [device]);
  const most = (of: (device: number) => number, among: readonly number[]) =>
    [...among].sort((a, b) => of(b) - of(a) || a - b);
  const speed = (device: number) => devices[device]!.forwardRate;
  const bySpeed = most(speed, all);
  const orders = [
    bySpeed,
    most((device) => devices[device]!.memoryBytes, all),
    ...mediumSets(opened).map((members) => most(speed, members)),
  ];
  for (const order of orders)
    for (let count = 2; count < order.length; count = Math.ceil(count * limits.deviceLadder))
      sets.push(order.slice(0, count));
  sets.push(...orders);
  for (let lanes = 2; lanes <= Math.min(widest, limits.dividedLanes, all.length / 2); lanes++)
    sets.push(...dealt(bySpeed, lanes), ...cutIntoLanes(bySpeed, opened, lanes));
  const seen = new Set<string>();
  return sets
    .map((set) => [...set].sort((a, b) => a - b))
    .filter((set) => !seen.has(set.join()) && seen.add(set.join()))
    .sort((a, b) => a.length - b.length);
}

/** All but the empty one, smaller ones first. */
export function subsetsOf(devices: Iterable<number>): number[][] {
  const all = [...devices];
  const sets: number[][] = [];
  for (let mask = 1; mask < 2 ** all.length; mask++) sets.push(all.filter((_, bit) => mask & (1 << bit)));
  return sets.sort((a, b) => a.length - b.length);
}

/** Devices that reach each other over one medium. */
function mediumSets({ devices, routes }: ClusterCosts): number[][] {
  return routes.media
    .map((_, medium) => {
      const members = new Set<number>();
      for (const from of devices.keys())
        for (let to = 0; to < from; to++)
          if (routes.route(from, to)?.medium === medium) members.add(from).add(to);
      return [...members];
    })
    .filter((set) => set.length > 1);
}

/** Devices dealt out like cards, there and back, so that every lane gets about the same speed. */
function dealt(order: readonly number[], lanes: number): number[][] {
  const sets: number[][] = Array.from({ length: lanes }, () => []);
  for (const [position, device] of order.entries()) {
    const at = position % (2 * lanes);
    sets[at < lanes ? at : 2 * lanes - 1 - at]!.push(device);
  }
  return sets;
}

/** Runs of the order of about equal speed: devices of a lane are alike. */
function cutIntoLanes(order: readonly number[], { devices }: ClusterCosts, lanes: number): number[][] {
  const speed = (device: number) => devices[device]!.forwardRate;
  const total = order.reduce((sum, device) => sum + speed(device), 0);
  const sets: number[][] = Array.from({ length: lanes }, () => []);
  let before = 0;
  for (const device of order) {
    sets[Math.min(lanes - 1, Math.floor((before / total) * lanes))]!.push(device);
    before += speed(device);
  }
  return sets.filter((set) => set.length > 0);
}
