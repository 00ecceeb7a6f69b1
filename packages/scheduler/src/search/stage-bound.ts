/**
 * What a step costs at least, however the layers are cut into stages. With the seconds T of a step, a stage of layers [a, b) and m members
 * needs
 *
 *   speed  max(w / T, w' / (T − h(a)))            w: its FLOPs of a step, w': without weight gradients, which may be computed while the
 *                                                 gradient goes down; h(a): when one task trains alone, a step empties the pipeline, and
 *                                                 one sample must go up to layer a and its gradient down again, from the lowest trained
 *                                                 layer and at the fastest rates
 *   air    boundary(a) + 2 (m − 1) gradients(a, b)  where all links share one medium
 *
 * and fits into the largest memory. The speeds of all stages are at most u(K), that of the K fastest devices, K = Σ m; their air is at most
 * T. For prices v of a member and λ of air, u(K) ≤ β + v K implies Σ (speed − v m + λ air) ≤ β + λ T. The cut of least left-hand side is
 * found by dynamic programming, and T is too short where even that one breaks the inequality.
 */
import { layerStates } from '../cost/memory.js';
import { boundaryBytes, gradientBytes, gradientCrosses, type TaskCosts } from '../cost/task-costs.js';
import type { Cluster } from '../problem/cluster.js';
import { limits } from './effort.js';
import type { IntervalProblem } from './interval-problem.js';

interface StageBoundOptions {
  /** Seconds of a step that are known to be a bound. */
  readonly least: number;
  /** Running sums of a step's FLOPs. */
  readonly flops: Float64Array;
  /** Of all devices, fastest first. */
  readonly speeds: readonly number[];
}

/** Seconds of one step. */
export function stageBound(problem: IntervalProblem, { least, flops, speeds }: StageBoundOptions): number {
  const { costs, groupLimit } = problem;
  const { layerCount } = costs;
  if (flops[layerCount] === 0 || speeds.length < 2) return least;
  const needs = stageNeeds(problem);
  const { waits, workWhileWaiting, launches, boundary, gradients, first } = needs;
  const fastest = speeds[0]!;
  const most = Math.min(groupLimit, speeds.length);
  const cheapest = new Float64Array(layerCount + 1);
  /** The least of Σ (speed − v m + λ air) over all cuts. */
  const leastSum = (T: number, v: number, air: number): number => {
    for (let end = 1; end <= layerCount; end++) {
      let best = Infinity;
      for (let start = first[end]!; start < end; start++) {
        const left = T - launches(start, end);
        const work = flops[end]! - flops[start]!;
        const speed = Math.max(
          left > 0 ? work / left : Infinity,
          left > waits[start]!
            ? (workWhileWaiting[end]! - workWhileWaiting[start]!) / (left - waits[start]!)
            : Infinity,
        );
        const exchange = air * gradients(start, end);
        const members = exchange < v ? most : Math.max(1, Math.ceil((speed / fastest) * (1 - 1e-9)));
        const sum =
          cheapest[start]! + speed - v * members + air * boundary[start]! + exchange * (members - 1);
        if (sum < best) best = sum;
      }
      cheapest[end] = best;
    }
    return cheapest[layerCount]!;
  };
  const total = speeds.reduce((a, b) => a + b, 0);
  const tooShort = (T: number): boolean => {
    const exceeds = (v: number, base: number, air: number) =>
      leastSum(T, v, air) > (base + air * T) * (1 + 1e-9);
    if (exceeds(0, total, 0)) return true;
    if (!needs.shared) return false;
    // As many of the fastest devices as the work needs; one more or less is worth the next one's speed.
    let count = 0;
    let speed = 0;
    while (count < speeds.length && speed * T < flops[layerCount]!) speed += speeds[count++]!;
    const member = speeds[count - 1]!;
    const base = speed - count * member;
    return limits.airPrices.some((price) => {
      const air = (price * speed) / T;
      return exceeds(member, base, air) || exceeds(0, total, air);
    });
  };
  let low = least;
  if (!tooShort(low)) return low;
  let high = 2 * low;
  while (tooShort(high)) [low, high] = [high, 2 * high];
  while (high - low > limits.boundPrecision * low) {
    const middle = (low + high) / 2;
    if (tooShort(middle)) low = middle;
    else high = middle;
  }
  return low;
}

/** What stages cost besides their FLOPs. */
function stageNeeds({ costs, tasks }: IntervalProblem) {
  const { layerCount, devices, cluster } = costs;
  const all = tasks.map(costs.taskNamed);
  const [task] = all;
  const alone = all.length === 1 && task!.lowestTrained < layerCount ? task! : undefined;
  const largest = Math.max(...devices.map(({ memoryBytes }) => memoryBytes));
  const states = layerStates(all, layerCount).map(
    ({ parameterBytes, optimizerBytes }) => parameterBytes + optimizerBytes,
  );
  // By end: the lowest start of a stage that the largest memory holds.
  const first = new Int32Array(layerCount + 1);
  let held = 0;
  for (let end = 1, start = 0; end <= layerCount; end++) {
    held += states[end - 1]!;
    while (held > largest && start < end - 1) held -= states[start++]!;
    first[end] = start;
  }
  const rate = Math.max(...devices.map(({ forwardRate }) => forwardRate));
  const inputRate = Math.max(...devices.map(({ inputRate: of }) => of));
  const launch = Math.min(...devices.map(({ overheadSeconds }) => overheadSeconds));
  const latency = cluster.links.reduce((least, link) => Math.min(least, link.latencySeconds), Infinity);
  const fastestLink = bestRate(cluster);
  const waits = new Float64Array(layerCount + 1);
  const workWhileWaiting = new Float64Array(layerCount + 1);
  if (alone) {
    const { sums, lowestTrained, samples } = alone;
    // Stages that the trained layers below need at least.
    let below = 0;
    let from = lowestTrained;
    for (let start = 0; start < layerCount; start++) {
      workWhileWaiting[start + 1] = samples * (sums.forwardFlops[start + 1]! + sums.inputFlops[start + 1]!);
      if (start <= lowestTrained) continue;
      if (below === 0 || first[start]! > from) {
        below += 1;
        from = start - 1;
      }
      waits[start] =
        (sums.forwardFlops[start]! - sums.forwardFlops[lowestTrained]!) / rate +
        (sums.inputFlops[start]! - sums.inputFlops[lowestTrained]!) / inputRate +
        launch * launchedLayers(alone, lowestTrained, start) +
        2 * below * latency +
        (2 * boundaryBytes(alone, start)) / fastestLink;
    }
  }
  const shared = onOneMedium(cluster);
  const boundary = Float64Array.from({ length: layerCount }, (_, cut) =>
    cut === 0
      ? 0
      : all.reduce(
          (sum, one) => sum + boundaryBytes(one, cut) * one.samples * (gradientCrosses(one, cut) ? 2 : 1),
          0,
        ) / fastestLink,
  );
  return {
    shared,
    first,
    waits,
    workWhileWaiting,
    boundary,
    launches: (start: number, end: number) => (alone ? launch * launchedLayers(alone, start, end) : 0),
    // Of several tasks each device may handle only one, which it shares at least with the member of the largest share.
    gradients: (start: number, end: number) =>
      (2 * Math.min(...all.map((one) => gradientBytes(one, { start, end })))) / fastestLink,
  };
}

/** Layers launched in a step at least, forward and backward. */
const launchedLayers = ({ sums }: TaskCosts, start: number, end: number): number =>
  sums.forwardLayers[end]! -
  sums.forwardLayers[start]! +
  sums.backwardLayers[end]! -
  sums.backwardLayers[start]!;

/** Whether all links share one medium. */
export function onOneMedium({ links }: Cluster): boolean {
  const medium = links[0]?.medium;
  return medium !== undefined && links.every((link) => link.medium === medium);
}

/** Of any link, in bytes per second. */
export const bestRate = ({ links }: Cluster): number =>
  links.reduce((most, { bytesPerSecond, loss = 0 }) => Math.max(most, bytesPerSecond * (1 - loss)), 0);
