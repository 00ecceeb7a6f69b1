/**
 * Placements whose slowest stage is short, for any number of devices: given an order of the devices and a number of stages, the least time T
 * such that consecutive groups can take all layers, each within T.
 *
 * For a given T the furthest layer that the first i devices can reach with k stages follows from k − 1 by dynamic programming
 *   reach[k][i] = max(reach[k][i − 1], max_j furthest(reach[k − 1][j], devices j … i − 1, T))
 * and T is found by bisection. Group members share samples by speed; memory counts with the micro-batches a stage has in flight.
 */
import { activationBytes, layerStates } from '../cost/memory.js';
import type { TaskCosts } from '../cost/task-costs.js';
import type { Placement, Stage } from '../schedule/placement.js';
import type { DeviceWork } from './device-work.js';
import { effortFor, limits } from './effort.js';
import type { IntervalProblem } from './interval-problem.js';
import { stageOn } from './share-samples.js';

interface BottleneckOptions {
  readonly microbatches: number;
  readonly groupLimit: number;
  readonly stageLimit: number;
  /** Micro-batches in flight to leave memory for, by a stage's distance to the last. */
  readonly inFlight: (distance: number) => number;
  /** Numbers of devices at most between which groups may end: with more, neighbours in the order stay together. */
  readonly blocks: number;
  /** Lowest layer at which a cut may lie. */
  readonly firstCut: number;
}

/** At most one placement per number of stages, where there is one. */
export function bottleneckPlacements(
  problem: IntervalProblem,
  { flops, average }: DeviceWork,
  order: readonly number[],
  { microbatches, groupLimit, stageLimit, inFlight, blocks, firstCut }: BottleneckOptions,
): Placement[] {
  const { costs, tasks } = problem;
  const { layerCount } = costs;
  const count = order.length;
  const block = Math.max(1, Math.ceil(count / blocks));
  /** Where groups may end, from 0 to all devices. */
  const ends = Array.from({ length: Math.ceil(count / block) + 1 }, (_, i) => Math.min(count, i * block));
  const last = ends.length - 1;
  const rateOf = ends
    .slice(1)
    .map((end, i) => order.slice(ends[i], end).reduce((sum, device) => sum + average[device]!, 0));
  const stageMost = Math.min(stageLimit, last, layerCount);
  const precision = effortFor(count).bottleneckPrecision;
  const memory = sumMemory(tasks.map(costs.taskNamed), layerCount);

  /** Last layer (exclusive) that every member still holds. */
  const fits = (start: number, from: number, to: number, distance: number, rate: number): number => {
    let end = layerCount;
    for (let i = from; i < to; i++) {
      const device = order[i]!;
      const share = to - from === 1 ? 1 : average[device]! / rate;
      const kept = (share * inFlight(distance)) / microbatches;
      const limit =
        costs.devices[device]!.memoryBytes + memory.resident[start]! + kept * memory.activations[start]!;
      end = lastHeld(memory, start, end, kept, limit);
    }
    return end;
  };

  const reach = Array.from({ length: stageMost + 1 }, () => new Int32Array(last + 1));
  const groupStart = Array.from({ length: stageMost + 1 }, () => new Int32Array(last + 1));
  /** Whether exactly `stages` stages reach the end within T. Fills `reach` and `groupStart`. */
  const attempt = (stages: number, T: number): boolean => {
    reach[0]!.fill(0);
    for (let k = 1; k <= stages; k++) {
      const now = reach[k]!;
      const before = reach[k - 1]!;
      now.fill(-1);
      for (let i = k; i <= last; i++) {
        let best = now[i - 1]!;
        let from = -1;
        let rate = 0;
        for (let j = i - 1; j >= k - 1 && ends[i]! - ends[j]! <= groupLimit; j--) {
          rate += rateOf[j]!;
          const start = before[j]!;
          if (start < 0 || start >= layerCount || (k > 1 && start < firstCut)) continue;
          let end = lastWithin(flops, start, layerCount, flops[start]! + T * rate);
          if (end <= best) continue;
          end = Math.min(end, fits(start, ends[j]!, ends[i]!, stages - k, rate));
          // Every later stage needs a layer.
          end = Math.min(end, layerCount - (stages - k));
          if (end > start && end > best) [best, from] = [end, j];
          // More devices than reach the end are of no use.
          if (best === layerCount - (stages - k)) break;
        }
        now[i] = best;
        groupStart[k]![i] = from;
      }
    }
    return reach[stages]![last] === layerCount;
  };

  const placements: Placement[] = [];
  const least = flops[layerCount]! / average.reduce((a, b) => a + b, 0);
  const longest = flops[layerCount]! / Math.min(...order.map((device) => average[device]!));
  let previous = longest;
  for (const stages of stageCounts(stageMost)) {
    // One stage more seldom needs more time.
    let high = previous;
    if (!attempt(stages, high)) {
      high = longest;
      if (previous === longest || !attempt(stages, high)) continue;
    }
    let low = least;
    for (let halvings = 0; halvings < limits.bottleneckHalvings && high - low > precision * low; halvings++) {
      const middle = (low + high) / 2;
      if (attempt(stages, middle)) high = middle;
      else low = middle;
    }
    attempt(stages, high);
    previous = high;
    const found: Stage[] = [];
    let i = last;
    let end = layerCount;
    for (let k = stages; k >= 1; k--) {
      while (groupStart[k]![i]! < 0) i -= 1;
      const j = groupStart[k]![i]!;
      const start = reach[k - 1]![j]!;
      const stage = stageOn(problem, { start, end }, order.slice(ends[j], ends[i]), microbatches);
      if (!stage) break;
      found.unshift(stage);
      end = start;
      i = j;
    }
    if (found.length === stages) placements.push({ tasks, microbatches, stages: found });
  }
  return placements;
}

/** All up to 8, then fewer and fewer: each further stage gains less. */
function stageCounts(most: number): number[] {
  const { few, shift, shiftOfMany } = limits.stageCounts;
  const counts: number[] = [];
  for (let count = 1; count <= most; count += Math.max(1, count >> (most > few ? shiftOfMany : shift)))
    counts.push(count);
  return counts;
}

/** Running sums over the layers of what a device keeps, and of what it keeps for each micro-batch in flight. */
export interface MemorySums {
  readonly resident: Float64Array;
  readonly activations: Float64Array;
}

export function sumMemory(tasks: readonly TaskCosts[], layerCount: number): MemorySums {
  const resident = new Float64Array(layerCount + 1);
  const activations = new Float64Array(layerCount + 1);
  for (const [layer, { parameterBytes, optimizerBytes }] of layerStates(tasks, layerCount).entries()) {
    const range = { start: layer, end: layer + 1 };
    const kept = Math.max(0, ...tasks.map((task) => activationBytes(task, range, task.samples)));
    resident[layer + 1] = resident[layer]! + parameterBytes + optimizerBytes;
    activations[layer + 1] = activations[layer]! + kept;
  }
  return { resident, activations };
}

/** The largest position in [start, end] at which a running sum is within the limit. */
function lastWithin(sums: Float64Array, start: number, end: number, limit: number): number {
  let low = start;
  let high = end;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (sums[middle]! <= limit) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The largest position in [start, end] up to which layers and the activations kept of them are within the limit. */
function lastHeld(
  { resident, activations }: MemorySums,
  start: number,
  end: number,
  kept: number,
  limit: number,
): number {
  if (resident[end]! + kept * activations[end]! <= limit) return end;
  let low = start;
  let high = end;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (resident[middle]! + kept * activations[middle]! <= limit) low = middle;
    else high = middle - 1;
  }
  return low;
}
