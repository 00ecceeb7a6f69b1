/**
 * What no plan can beat, in seconds: jobs on any lanes, in any order, side by side or interleaved.
 *
 *   path    the longest chain of tasks that wait for each other, each at its fastest on any devices
 *   work    a run of M seconds has M seconds of every device and of every medium's air. A task alone on device d takes p(d) of d's seconds;
 *           over several devices, its FLOPs in whatever parts, and the air of one boundary or of all its gradients at least. For prices
 *           π of the devices' seconds and α of the air with Σ π + α = 1
 *             Σ over tasks of min(min over d of π(d) p(d), min over d of π(d) FLOPs / speed(d) + α air) ≤ M
 *           Ways that end too late even with all other tasks at their fastest are left out, so that M itself decides which remain. The same
 *           holds for all tasks that begin h after the start and end t before the end at the soonest, with M − h − t.
 *   air     as work, where the air has most of the price
 *   memory  as work, where some task fits on no single device
 */
import type { ClusterCosts } from '../cost/cluster-costs.js';
import { openCostModel } from '../cost/cost-model.js';
import { computeSeconds } from '../cost/duration.js';
import { fitsMemory } from '../cost/memory.js';
import { boundaryBytes, gradientBytes, gradientCrosses, hasBackward } from '../cost/task-costs.js';
import { type Workload, withCachedPrefix } from '../problem/workload.js';
import { deviceWork } from '../search/device-work.js';
import { limits } from '../search/effort.js';
import { type IntervalProblem, placementOn } from '../search/interval-problem.js';
import { lowerBound } from '../search/lower-bound.js';
import { bestRate } from '../search/stage-bound.js';
import { cacheSteps } from './intervals.js';
import { maximise } from './linear-program.js';

export interface PlanBound {
  readonly seconds: number;
  readonly binding: 'path' | 'work' | 'air' | 'memory';
}

export interface PlanBoundProblem {
  readonly workloads: readonly Workload[];
  readonly opened: ClusterCosts;
  /** Whether prefixes may be cached. */
  readonly cache: boolean;
  /** Whether the plan keeps layers whole, so that the bounds of pipelines hold; else only the work counts. */
  readonly wholeLayers: boolean;
  readonly window: number;
}

/** Steps of a task that cost the same. */
interface Piece {
  /** Least seconds from the start to the piece, of the piece, and from there to the end. */
  head: number;
  readonly seconds: number;
  tail: number;
  /** Seconds alone on each device; Infinity where it does not fit. */
  readonly alone: readonly number[];
  /** Seconds of each device if it did all of the FLOPs. */
  readonly spread: readonly number[];
  /** Seconds of air if it is spread over several devices. */
  readonly air: number;
}

export function planBound(problem: PlanBoundProblem): PlanBound {
  const tasks = problem.workloads.map((workload) => piecesOf(workload, problem));
  const pieces = tasks.flat();
  const media = problem.opened.routes.media.length;
  const path = placeOnPath(problem.workloads, tasks);
  let bound: PlanBound = { seconds: path, binding: 'path' };
  for (const [head, tail] of windowsOf(pieces)) {
    const inside = pieces.filter((piece) => piece.head >= head && piece.tail >= tail);
    if (inside.length === 0) continue;
    let air = 0;
    const exceeds = (seconds: number): boolean =>
      [startPrices(inside), dearestPrices(inside, seconds, media)].some((price) => {
        if (!price || leastCost(inside, price, seconds) <= seconds - head - tail) return false;
        air = price.air;
        return true;
      });
    let low = bound.seconds;
    if (!exceeds(low)) continue;
    let high = 2 * low;
    while (exceeds(high)) [low, high] = [high, 2 * high];
    while (high - low > limits.boundPrecision * low) {
      const middle = (low + high) / 2;
      if (exceeds(middle)) low = middle;
      else high = middle;
    }
    const binding = inside.some(({ alone }) => alone.every((seconds) => seconds === Infinity))
      ? 'memory'
      : air > 1 / 2
        ? 'air'
        : 'work';
    bound = { seconds: low, binding };
  }
  return bound;
}

function piecesOf(workload: Workload, { opened, cache, wholeLayers, window }: PlanBoundProblem): Piece[] {
  const { first, later } = cacheSteps(workload, cache);
  const parts = [
    { costed: workload, steps: first },
    { costed: withCachedPrefix(workload), steps: later },
  ];
  return parts
    .filter(({ steps }) => steps > 0)
    .map(({ costed, steps }): Piece => {
      const costs = openCostModel([costed], opened.cluster, opened);
      const task = costs.tasks[0]!;
      const { layerCount } = costs;
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
      const { flops, fastest } = deviceWork(question);
      const work = steps * flops[layerCount]!;
      const range = { start: 0, end: layerCount };
      const alone = costs.devices.map((device) => {
        if (!fitsMemory(costs, placementOn(question, device.id, samples), window)) return Infinity;
        const backward = hasBackward(task, layerCount)
          ? computeSeconds(device, task, 'backwardInput', range, samples) +
            computeSeconds(device, task, 'backwardWeight', range, samples)
          : 0;
        return steps * (computeSeconds(device, task, 'forward', range, samples) + backward);
      });
      const speed = fastest.reduce((a, b) => a + b, 0);
      return {
        head: 0,
        seconds: wholeLayers ? steps * lowerBound(question).stepSeconds : work / speed,
        tail: 0,
        alone,
        spread: fastest.map((of) => work / of),
        air: wholeLayers ? steps * leastAirSeconds(question) : 0,
      };
    });
}

/** Of a step spread over several devices: one boundary, or all gradients to a second device and back. */
function leastAirSeconds({ costs }: IntervalProblem): number {
  const { cluster, layerCount } = costs;
  if (cluster.links.some(({ medium }) => medium === undefined)) return 0;
  const task = costs.tasks[0]!;
  let least = 2 * gradientBytes(task, { start: 0, end: layerCount });
  for (let cut = 1; cut < layerCount; cut++)
    least = Math.min(least, boundaryBytes(task, cut) * task.samples * (gradientCrosses(task, cut) ? 2 : 1));
  return least / bestRate(cluster);
}

/** Fills in heads and tails; returns the longest path. */
function placeOnPath(workloads: readonly Workload[], tasks: readonly Piece[][]): number {
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
    let at = Math.max(0, ...parents[task]!.map((parent) => ends[parent]!));
    for (const piece of tasks[task]!) {
      piece.head = at;
      at += piece.seconds;
    }
    ends[task] = at;
  }
  const tails = workloads.map(() => 0);
  for (const task of order.reverse()) {
    let left = tails[task]!;
    for (const piece of tasks[task]!.toReversed()) {
      piece.tail = left;
      left += piece.seconds;
    }
    for (const parent of parents[task]!) tails[parent] = Math.max(tails[parent]!, left);
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

/** Prices of a second of each device and of the air, which add up to 1. */
interface Prices {
  readonly devices: readonly number[];
  readonly air: number;
}

/** By speed, so that work costs the same everywhere. */
function startPrices([piece]: readonly Piece[]): Prices {
  const speeds = piece!.spread.map((seconds) => 1 / seconds);
  const total = speeds.reduce((a, b) => a + b, 0);
  return { devices: speeds.map((speed) => speed / total), air: 0 };
}

/** What the pieces cost at least, in what a device's or the air's second may cost at most; Infinity where one cannot end in time. */
function leastCost(pieces: readonly Piece[], price: Prices, seconds: number): number {
  let sum = 0;
  for (const piece of pieces) {
    let least = Infinity;
    for (const { device, use, air } of waysOf(piece, seconds))
      least = Math.min(least, price.devices[device]! * use + price.air * air);
    sum += least;
  }
  return sum;
}

interface Way {
  readonly device: number;
  /** Seconds of the device, and of the air. */
  readonly use: number;
  readonly air: number;
}

/** Ways to run a piece that leave time for what comes before and after. */
function* waysOf(
  { head, seconds: fastest, tail, alone, spread, air }: Piece,
  seconds: number,
): Generator<Way> {
  const left = (seconds - head - tail) * (1 + 1e-9);
  for (const [device, use] of alone.entries()) if (use <= left) yield { device, use, air: 0 };
  if (fastest <= left) for (const [device, use] of spread.entries()) yield { device, use, air };
}

/** Prices at which the pieces cost most: a linear program of the prices and of what each piece costs. */
function dearestPrices(pieces: readonly Piece[], seconds: number, media: number): Prices | undefined {
  const count = pieces[0]!.alone.length;
  // Equal pieces have equal costs.
  const kinds = new Map<string, { piece: Piece; times: number }>();
  for (const piece of pieces) {
    const key = JSON.stringify(piece);
    const known = kinds.get(key);
    if (known) known.times += 1;
    else kinds.set(key, { piece, times: 1 });
  }
  const distinct = [...kinds.values()];
  if (distinct.length * count * (distinct.length + count) > limits.pricedSize) return undefined;
  const width = distinct.length + count + 1;
  // In parts of the bound, so that all numbers are of the order of 1.
  const rows = distinct.flatMap(({ piece }, kind) =>
    [...waysOf(piece, seconds)].map(({ device, use, air }) => {
      const row = new Array<number>(width).fill(0);
      row[kind] = 1;
      row[distinct.length + device] = -use / seconds;
      row[width - 1] = -air / seconds;
      return row;
    }),
  );
  const budget = Array.from({ length: width }, (_, column) =>
    column < distinct.length ? 0 : column < width - 1 ? 1 : media,
  );
  const gains = Array.from({ length: width }, (_, column) => distinct[column]?.times ?? 0);
  const found = maximise(gains, [...rows, budget], [...rows.map(() => 0), 1], limits.pricePivots);
  const air = found[width - 1]!;
  const prices = found.slice(distinct.length, width - 1);
  const total = prices.reduce((a, b) => a + b, media * air);
  return total > 0 ? { devices: prices.map((price) => price / total), air: air / total } : undefined;
}
