/** How peers divide layers among stages, and which devices they would use. */
import { gradientBytes } from '../cost/task-costs.js';
import type { Placement, Stage } from '../schedule/placement.js';
import { apportion } from '../schedule/sample-shares.js';
import { devicesBy, deviceWork } from '../search/device-work.js';
import { effortFor, limits } from '../search/effort.js';
import type { IntervalProblem } from '../search/interval-problem.js';

/** Float32 gradients sent in half precision. */
const halfPrecision = 1 / 2;

/**
 * Cuts after which the slowest of `parts` contiguous parts is quickest; undefined where there are none.
 *
 * @param secondsOf a part, from its first layer to one past its last; not less for more layers but where its message is smaller
 */
export function quickestCuts(
  layers: number,
  parts: number,
  secondsOf: (part: number, start: number, end: number) => number,
): number[] | undefined {
  if (parts > layers) return undefined;
  const cutsWithin = (limit: number): number[] | undefined => {
    const cuts: number[] = [];
    let start = 0;
    for (let part = 0; part < parts; part++) {
      // What a later part need not take does not slow it down, so the furthest cut is the best.
      let end = layers - (parts - 1 - part);
      const least = part === parts - 1 ? end : start + 1;
      while (end >= least && !(secondsOf(part, start, end) <= limit)) end -= 1;
      if (end < least) return undefined;
      cuts.push(end);
      start = end;
    }
    return cuts;
  };
  let low = 0;
  let high = 0;
  for (let part = 0; part < parts; part++) {
    const all = secondsOf(part, 0, layers);
    if (all < Infinity) high = Math.max(high, all);
  }
  let best = cutsWithin(high) ?? cutsWithin((high = Number.MAX_VALUE));
  if (!best) return undefined;
  if (high === Number.MAX_VALUE) high = slowest(best, secondsOf);
  for (let halvings = 0; halvings < 40 && high - low > 1e-9 * high; halvings++) {
    const middle = (low + high) / 2;
    const found = cutsWithin(middle);
    if (found) [best, high] = [found, middle];
    else low = middle;
  }
  return best;
}

const slowest = (
  cuts: readonly number[],
  secondsOf: (part: number, start: number, end: number) => number,
): number => Math.max(...cuts.map((end, part) => secondsOf(part, part === 0 ? 0 : cuts[part - 1]!, end)));

/** Cuts after which the heaviest of `parts` contiguous parts is lightest (DeepSpeed's `partition_balanced`). */
export function balancedCuts(weights: readonly number[], parts: number): number[] | undefined {
  const sums = weights.reduce<number[]>((all, weight) => [...all, all.at(-1)! + weight], [0]);
  return quickestCuts(weights.length, parts, (_, start, end) => sums[end]! - sums[start]!);
}

/** Cuts with as equal a number of layers as can be. */
export const uniformCuts = (layers: number, parts: number): number[] | undefined =>
  parts > layers
    ? undefined
    : Array.from({ length: parts }, (_, part) => Math.floor(((part + 1) * layers) / parts));

/** Cuts in proportion to the weights, every part getting at least one layer. */
export function weightedCuts(layers: number, weights: readonly number[]): number[] | undefined {
  if (weights.length > layers) return undefined;
  const extra = apportion(layers - weights.length, weights);
  let end = 0;
  return extra.map((count) => (end += count + 1));
}

/** A pipeline with one group of equal shares per stage, whose members exchange gradients in half precision: `groups[stage]` are device indices. */
export function pipelineOf(
  { costs, tasks }: IntervalProblem,
  cuts: readonly number[],
  groups: readonly (readonly number[])[],
  microbatches: number,
): Placement {
  const stages = groups.map((group, index): Stage => {
    const start = index === 0 ? 0 : cuts[index - 1]!;
    const end = cuts[index]!;
    // The same object for the same stage, so that what is found about it is found once.
    const key = `equal ${start} ${end} ${microbatches} ${group.join()}`;
    let stage = costs.stages.get(key);
    if (!stage) {
      stage = {
        start,
        end,
        members: group.map((device) => ({ device: costs.devices[device]!.id, share: 1 / group.length })),
        ...(group.length > 1 ? { gradients: halfPrecision } : {}),
      };
      costs.stages.set(key, stage);
    }
    return stage;
  });
  return { tasks, microbatches, stages };
}

/** The devices a careful user would try: as listed, by speed, by memory. */
export function deviceOrders(problem: IntervalProblem): number[][] {
  const { costs } = problem;
  const { average } = deviceWork(problem);
  const orders = [
    devicesBy(costs, (device) => average[device]!),
    devicesBy(costs, (device) => costs.devices[device]!.memoryBytes),
    ...(effortFor(costs.devices.length).peerListedOrder ? [[...costs.devices.keys()]] : []),
  ];
  const seen = new Set<string>();
  return orders.filter((order) => !seen.has(order.join()) && seen.add(order.join()));
}

/** Groups of several devices that would share every layer, the first of each order, with every number of micro-batches. */
export function* deviceGroups(
  problem: IntervalProblem,
): Generator<{ readonly group: readonly number[]; readonly microbatches: number }> {
  for (const order of deviceOrders(problem))
    for (const count of countsUpTo(order.length).filter((size) => size > 1))
      for (const microbatches of problem.microbatches) yield { group: order.slice(0, count), microbatches };
}

/** FLOPs of a step per layer. */
export function layerFlops(problem: IntervalProblem): number[] {
  const { flops } = deviceWork(problem);
  return Array.from({ length: problem.costs.layerCount }, (_, layer) => flops[layer + 1]! - flops[layer]!);
}

/** Bytes of what trains in each layer: what a count of parameters with gradients sees. */
export const trainedBytes = ({ costs, tasks }: IntervalProblem): number[] =>
  Array.from({ length: costs.layerCount }, (_, layer) =>
    tasks
      .map(costs.taskNamed)
      .reduce((sum, task) => sum + gradientBytes(task, { start: layer, end: layer + 1 }), 0),
  );

/** Numbers of devices to try: all up to 8, then further and further apart, and the largest. */
export function countsUpTo(most: number): number[] {
  const { few, growth, growthOfMany } = limits.peerCounts;
  const counts: number[] = [];
  for (let count = 1; count < most;) {
    counts.push(count);
    count = Math.max(count + 1, Math.floor(count * (count < few ? growth : growthOfMany)));
  }
  return [...counts, most];
}
