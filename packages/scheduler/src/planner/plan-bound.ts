/**
 * What no plan can beat, in seconds: jobs on any lanes, in any order, side by side or interleaved.
 *
 *   path    the longest chain of tasks that wait for each other, each at its fastest on any devices
 *   work    a run of M seconds has M seconds of every device and of every medium's air. A task alone on device d takes p(d) of d's seconds;
 *           on a set S at least work / Σ speeds of each one's, and the air of one boundary or of all its gradients. For prices π of the
 *           devices' seconds and α of the air that add up to 1, the cheapest ways of all tasks cost together at most M. Ways that end too
 *           late even with all other tasks at their fastest are left out. The same holds for all tasks that begin h after the start and end
 *           t before the end at the soonest, with M − h − t.
 *           Tasks are whole: of those longer than M / (k + 1) a device takes k at most, so its seconds may also be counted by
 *             f(x) = x where (k + 1) x / M is whole, else ⌊(k + 1) x / M⌋ M / k    (dual feasible functions; Fekete and Schepers, 2001)
 *           Interleaved tasks count as one of the sum of their times, for which f is no less than the sum of theirs.
 */
import type { ClusterCosts, DeviceCosts } from '../cost/cluster-costs.js';
import { type CostModel, openCostModel } from '../cost/cost-model.js';
import { computeSeconds } from '../cost/duration.js';
import { fitsMemory } from '../cost/memory.js';
import { hasBackward } from '../cost/task-costs.js';
import { type Workload, withCachedPrefix } from '../problem/workload.js';
import { deviceWork } from '../search/device-work.js';
import { limits } from '../search/effort.js';
import { type IntervalProblem, placementOn } from '../search/interval-problem.js';
import { leastAir, lowerBound } from '../search/lower-bound.js';
import { subsetsOf } from './device-sets.js';
import { cacheSteps } from './intervals.js';
import { maximise } from './linear-program.js';

export interface PlanBoundProblem {
  readonly workloads: readonly Workload[];
  readonly opened: ClusterCosts;
  /** Whether prefixes may be cached. */
  readonly cache: boolean;
  /** Whether the plan keeps layers whole, so that the bounds of pipelines hold; else only the work counts. */
  readonly wholeLayers: boolean;
  readonly window: number;
}

/** A task as far as the bound sees it. */
interface Piece {
  /** Least seconds from the start to the task, of the task, and from there to the end. */
  head: number;
  readonly seconds: number;
  tail: number;
  readonly ways: readonly Way[];
}

/** Devices on which a task runs, or the part that one device has in it where there are too many sets. */
interface Way {
  readonly devices: readonly number[];
  /** Seconds that each is at least kept. */
  readonly use: number;
  readonly air: number;
  /** Whether the task has the devices to itself for no less. */
  readonly whole: boolean;
}

export function planBoundSeconds(problem: PlanBoundProblem): number {
  const { devices, routes } = problem.opened;
  const market = { devices: devices.length, media: routes.media.length };
  const pieces = problem.workloads.map((workload) => pieceOf(workload, problem));
  let low = placeOnPath(problem.workloads, pieces);
  for (const [head, tail] of windowsOf(pieces)) {
    const inside = pieces.filter((piece) => piece.head >= head && piece.tail >= tail);
    if (inside.length === 0) continue;
    const exceeds = (seconds: number): boolean => {
      const left = seconds - head - tail;
      if (left <= 0) return true;
      const open = inside.map((piece) => {
        const most = (seconds - piece.head - piece.tail) * (1 + 1e-9);
        return piece.ways.filter(({ whole, use }) => (whole ? use : piece.seconds) <= most);
      });
      if (open.some((ways) => ways.length === 0)) return true;
      // Whole tasks often fill the time exactly; rounding must not make that too much.
      return leastCost(open, dearestPrices(open, left, market), left) > left * (1 + 1e-9);
    };
    if (!exceeds(low)) continue;
    let high = 2 * low;
    while (exceeds(high)) [low, high] = [high, 2 * high];
    while (high - low > limits.boundPrecision * low) {
      const middle = (low + high) / 2;
      if (exceeds(middle)) low = middle;
      else high = middle;
    }
  }
  return low;
}

function pieceOf(workload: Workload, { opened, cache, wholeLayers, window }: PlanBoundProblem): Piece {
  const { first, later } = cacheSteps(workload, cache);
  const count = opened.devices.length;
  const alone = opened.devices.map(() => 0);
  const phases: { readonly seconds: number; readonly speeds: readonly number[] }[] = [];
  let [seconds, air] = [0, 0];
  for (const [costed, steps] of [
    [workload, first],
    [withCachedPrefix(workload), later],
  ] as const) {
    if (steps === 0) continue;
    const costs = openCostModel([costed], opened.cluster, opened);
    const { samples } = costed;
    const question: IntervalProblem = {
      costs,
      tasks: [costed.name],
      steps,
      cache: {},
      cacheBytes: {},
      objective: 'time',
      microbatches: [samples],
      window,
      groupLimit: limits.group,
      policies: [],
    };
    const { speeds, seconds: sums } = deviceWork(question).all;
    phases.push({ seconds: steps * sums[costs.layerCount]!, speeds });
    seconds += wholeLayers
      ? steps * lowerBound(question).stepSeconds
      : workOn(opened.devices.keys(), phases.slice(-1));
    if (wholeLayers) air += steps * leastAir(question).first;
    for (const [index, device] of costs.devices.entries())
      alone[index]! += fitsMemory(costs, placementOn(question, device.id, samples), window)
        ? steps * secondsAlone(costs, device)
        : Infinity;
  }
  const ways: Way[] = [...alone.entries()]
    .filter(([, use]) => use < Infinity)
    .map(([device, use]) => ({ devices: [device], use, air: 0, whole: true }));
  const work = phases.reduce((sum, phase) => sum + phase.seconds, 0);
  const airPerMedium = air / Math.max(1, opened.routes.media.length);
  if (count > limits.allDeviceSets)
    for (const device of opened.devices.keys()) {
      const most = Math.max(...phases.map(({ speeds }) => speeds[device]!));
      ways.push({ devices: [device], use: work / most, air, whole: false });
    }
  else
    for (const devices of subsetsOf(opened.devices.keys()).filter(({ length }) => length > 1))
      ways.push({ devices, use: Math.max(workOn(devices, phases), airPerMedium), air, whole: true });
  return { head: 0, seconds, tail: 0, ways };
}

/** Least seconds of phases on devices that share their work. */
function workOn(
  devices: Iterable<number>,
  phases: readonly { readonly seconds: number; readonly speeds: readonly number[] }[],
): number {
  const all = [...devices];
  return phases.reduce(
    (sum, { seconds, speeds }) => sum + seconds / all.reduce((speed, device) => speed + speeds[device]!, 0),
    0,
  );
}

/** Of a step on one device that holds all layers. */
function secondsAlone({ tasks: [task], layerCount }: CostModel, device: DeviceCosts): number {
  const range = { start: 0, end: layerCount };
  // Micro-batches may run at any of its rates.
  const { forwardRate: forward, inputRate: input, weightRate: weight } = device;
  const best = { ...device, rates: { forward, input, weight } };
  const of = (kind: 'forward' | 'backwardInput' | 'backwardWeight') =>
    computeSeconds(best, task!, kind, range, task!.samples);
  return of('forward') + (hasBackward(task!, layerCount) ? of('backwardInput') + of('backwardWeight') : 0);
}

/** Fills in heads and tails; returns the longest path. */
function placeOnPath(workloads: readonly Workload[], pieces: readonly Piece[]): number {
  const indexOf = new Map(workloads.map(({ name }, index) => [name, index]));
  const parents = workloads.map(({ dependsOn = [] }) => dependsOn.map((name) => indexOf.get(name)!));
  const order: number[] = [];
  const seen = new Set<number>();
  const visit = (task: number) => {
    if (seen.has(task)) return;
    seen.add(task);
    for (const parent of parents[task]!) visit(parent);
    order.push(task);
  };
  for (const task of workloads.keys()) visit(task);
  const ends = workloads.map(() => 0);
  for (const task of order) {
    const piece = pieces[task]!;
    piece.head = Math.max(0, ...parents[task]!.map((parent) => ends[parent]!));
    ends[task] = piece.head + piece.seconds;
  }
  for (const task of order.toReversed()) {
    const { tail, seconds } = pieces[task]!;
    for (const parent of parents[task]!) {
      const before = pieces[parent]!;
      before.tail = Math.max(before.tail, tail + seconds);
    }
  }
  return Math.max(0, ...ends);
}

/** Of heads and tails: all tasks first, then those that begin late or end early at the soonest, then both. */
function windowsOf(pieces: readonly Piece[]): [head: number, tail: number][] {
  const heads = [...new Set([0, ...pieces.map(({ head }) => head)])].sort((a, b) => a - b);
  const tails = [...new Set([0, ...pieces.map(({ tail }) => tail)])].sort((a, b) => a - b);
  return heads
    .flatMap((head, i) =>
      tails.map((tail, j) => ({ head, tail, rank: i * j > 0 ? i + j + heads.length : i + j })),
    )
    .sort((a, b) => a.rank - b.rank)
    .slice(0, limits.boundWindows)
    .map(({ head, tail }) => [head, tail]);
}

interface Market {
  readonly devices: number;
  readonly media: number;
}

/** Prices of a second of each device, by way of counting and device, and of each medium's air; all add up to 1. */
interface Prices {
  readonly devices: readonly (readonly number[])[];
  readonly air: number;
}

/** A device's seconds as they are (k = 0), or as whole tasks fill `seconds`. */
function counted(use: number, k: number, seconds: number): number {
  if (k === 0) return use;
  const parts = ((k + 1) * use) / seconds;
  // Where rounding decides, the lesser.
  const below = Math.floor(parts * (1 - 1e-9));
  return Math.min(Math.abs(parts - below - 1) < 1e-6 ? use : Infinity, (below / k) * seconds);
}

function leastCost(tasks: readonly (readonly Way[])[], prices: Prices, seconds: number): number {
  const costOf = ({ devices, use, air, whole }: Way): number => {
    let cost = prices.air * air;
    for (const [k, price] of prices.devices.entries()) {
      if (k > 0 && !whole) continue;
      const time = counted(use, k, seconds);
      for (const device of devices) cost += price[device]! * time;
    }
    return cost;
  };
  return tasks.reduce(
    (sum, ways) => sum + ways.reduce((least, way) => Math.min(least, costOf(way)), Infinity),
    0,
  );
}

/** Prices at which the tasks cost most: a linear program of the prices and of what each task costs. */
function dearestPrices(tasks: readonly (readonly Way[])[], seconds: number, market: Market): Prices {
  const kinds = new Map<string, { ways: readonly Way[]; times: number }>();
  for (const ways of tasks) {
    const key = JSON.stringify(ways);
    const known = kinds.get(key);
    if (known) known.times += 1;
    else kinds.set(key, { ways, times: 1 });
  }
  const distinct = [...kinds.values()];
  const count = market.devices;
  const rowCount = distinct.reduce((sum, { ways }) => sum + ways.length, 0);
  const sizeOf = (k: number) => rowCount * (distinct.length + (k + 1) * count + 1);
  if (sizeOf(0) > limits.pricedSize) return bySpeed(tasks[0]!, count);
  const most = sizeOf(limits.countedWhole) > limits.pricedSize ? 0 : limits.countedWhole;
  const width = distinct.length + (most + 1) * count + 1;
  // In parts of the time, so that all numbers are of the order of 1.
  const rows = distinct.flatMap(({ ways }, kind) =>
    ways.map(({ devices, use, air, whole }) => {
      const row = new Array<number>(width).fill(0);
      row[kind] = 1;
      for (let k = 0; k <= (whole ? most : 0); k++)
        for (const device of devices)
          row[distinct.length + k * count + device] = -counted(use, k, seconds) / seconds;
      row[width - 1] = -air / seconds;
      return row;
    }),
  );
  const budget = Array.from({ length: width }, (_, column) =>
    column < distinct.length ? 0 : column < width - 1 ? 1 : market.media,
  );
  const gains = Array.from({ length: width }, (_, column) => distinct[column]?.times ?? 0);
  const found = maximise(gains, [...rows, budget], [...rows.map(() => 0), 1], limits.pricePivots);
  const total = found.reduce((sum, price, column) => sum + price * budget[column]!, 0);
  if (total === 0) return bySpeed(tasks[0]!, count);
  const priceOf = (column: number) => found[column]! / total;
  return {
    devices: Array.from({ length: most + 1 }, (_, k) =>
      Array.from({ length: count }, (__, device) => priceOf(distinct.length + k * count + device)),
    ),
    air: priceOf(width - 1),
  };
}

/** Work costs the same everywhere. */
function bySpeed(ways: readonly Way[], count: number): Prices {
  const speeds = new Array<number>(count).fill(0);
  for (const {
    devices: [device, ...others],
    use,
  } of ways)
    if (others.length === 0) speeds[device!] = Math.max(speeds[device!]!, 1 / use);
  const total = speeds.reduce((a, b) => a + b, 0);
  return { devices: [speeds.map((speed) => speed / total)], air: 0 };
}
