/**
 * Pipelines of groups by dynamic programme, as Asteroid's planner (MobiCom 2024) and PAC's (ICPP 2024) find them: over stages, devices in
 * their order and layers, from the last stage to the first, the quickest slowest step of a micro-batch,
 *
 *   best[p][i][l] = min over j, m of max(stage(devices i … j − 1, layers l … m − 1), message after layer m − 1, best[p − 1][j][m])
 *
 * where a stage takes its computing and its part of the all-reduce, 2 (g − 1) / g · bytes over the group's slowest link.
 */
import { gradientBytes, gradientCrosses } from '../cost/task-costs.js';
import type { Placement, Stage } from '../schedule/placement.js';
import { sumMemory } from '../search/bottleneck-search.js';
import { deviceWork } from '../search/device-work.js';
import { limits } from '../search/effort.js';
import type { IntervalProblem } from '../search/interval-problem.js';
import { stageOn } from '../search/share-samples.js';

interface HybridOptions {
  readonly microbatches: number;
  readonly groupLimit: number;
  readonly stageLimit: number;
  /** Micro-batches in flight to leave memory for, by a stage's distance to the last. */
  readonly inFlight: (distance: number) => number;
}

/** The best placement for each number of stages, on devices that follow each other in the order. */
export function hybridPlacements(
  problem: IntervalProblem,
  order: readonly number[],
  { microbatches, groupLimit, stageLimit, inFlight }: HybridOptions,
): Placement[] {
  const { costs } = problem;
  const { flops, average } = deviceWork(problem);
  const tasks = problem.tasks.map(costs.taskNamed);
  const memory = sumMemory(tasks, costs.layerCount);
  const count = order.length;
  const groupMost = Math.min(groupLimit, count);
  const stageMost = Math.min(stageLimit, count, costs.layerCount);
  const bounds = boundaries(costs.layerCount, stageMost * count * groupMost);
  const last = bounds.length - 1;
  const gradients = bounds.map((end) =>
    tasks.reduce((sum, task) => sum + gradientBytes(task, { start: 0, end }), 0),
  );
  /** Bytes and messages across each boundary, both ways. */
  const crossing = bounds.map((layer) => {
    let bytes = 0;
    let messages = 0;
    if (layer > 0)
      for (const task of tasks) {
        const ways = gradientCrosses(task, layer) ? 2 : 1;
        bytes += (ways * task.samples * task.sums.outputBytes[layer - 1]!) / microbatches;
        messages += ways;
      }
    return { bytes, messages };
  });
  const at = (device: number, boundary: number) => device * bounds.length + boundary;
  const table = () => new Float64Array((count + 1) * bounds.length).fill(Infinity);
  const found: { readonly best: Float64Array; readonly devices: Int32Array; readonly ends: Int32Array }[] =
    [];
  let before = table();
  for (let i = 0; i <= count; i++) before[at(i, last)] = 0;
  const placements: Placement[] = [];
  for (let stages = 1; stages <= stageMost; stages++) {
    const best = table();
    const devices = new Int32Array(best.length);
    const ends = new Int32Array(best.length);
    for (let i = 0; i < count; i++) {
      let rate = 0;
      let slowest = Infinity;
      let shared = true;
      for (let j = i + 1; j <= count && j - i <= groupMost; j++) {
        const newest = order[j - 1]!;
        rate += average[newest]!;
        const group = order.slice(i, j);
        for (const other of group) {
          if (other === newest) continue;
          const route = costs.routes.route(other, newest);
          slowest = Math.min(slowest, route?.bytesPerSecond ?? 0);
          shared &&= (route?.medium ?? -1) >= 0;
        }
        // Not a group, nor with any further device.
        if (slowest === 0) break;
        const size = j - i;
        const reducing = size === 1 ? 0 : (2 * (size - 1) * (shared ? 1 : 1 / size)) / slowest / microbatches;
        const next = stages > 1 && j < count ? costs.routes.route(newest, order[j]!) : undefined;
        if (stages > 1 && !next) continue;
        const keep = group.map((device) => ({
          kept: ((average[device]! / rate) * inFlight(stages - 1)) / microbatches,
          memoryBytes: costs.devices[device]!.memoryBytes,
        }));
        const fits = (start: number, end: number) =>
          keep.every(
            ({ kept, memoryBytes }) =>
              memory.resident[end]! -
                memory.resident[start]! +
                kept * (memory.activations[end]! - memory.activations[start]!) <=
              memoryBytes,
          );
        let furthest = 0;
        for (let l = 0; l < last; l++) {
          const start = bounds[l]!;
          while (furthest < last && fits(start, bounds[furthest + 1]!)) furthest += 1;
          for (let m = l + 1; m <= furthest; m++) {
            const seconds =
              (flops[bounds[m]!]! - flops[start]!) / rate / microbatches +
              (size === 1 ? 0 : reducing * (gradients[m]! - gradients[l]!));
            if (seconds >= best[at(i, l)]!) break;
            const { bytes, messages } = crossing[m]!;
            const message = next ? bytes / next.bytesPerSecond + messages * next.latencySeconds : 0;
            const value = Math.max(seconds, message, before[at(j, m)]!);
            if (value >= best[at(i, l)]!) continue;
            best[at(i, l)] = value;
            devices[at(i, l)] = j;
            ends[at(i, l)] = m;
          }
        }
      }
    }
    found.push({ best, devices, ends });
    before = best;
    const placement = placementFrom(stages);
    if (placement) placements.push(placement);
  }
  return placements;

  /** The best placement of so many stages, in whole samples. */
  function placementFrom(stages: number): Placement | undefined {
    const { best } = found[stages - 1]!;
    let i = 0;
    for (let from = 1; from < count; from++) if (best[at(from, 0)]! < best[at(i, 0)]!) i = from;
    if (best[at(i, 0)] === Infinity) return undefined;
    const chosen: Stage[] = [];
    for (let [p, l] = [stages - 1, 0]; p >= 0; p--) {
      const { devices, ends } = found[p]!;
      const j = devices[at(i, l)]!;
      const m = ends[at(i, l)]!;
      const range = { start: bounds[l]!, end: bounds[m]! };
      const stage = stageOn(problem, range, order.slice(i, j), microbatches);
      if (!stage) return undefined;
      chosen.push(stage);
      [i, l] = [j, m];
    }
    return { tasks: problem.tasks, microbatches, stages: chosen };
  }
}

/** Where layers may be cut: everywhere, unless that would be too many to price. */
function boundaries(layers: number, groups: number): number[] {
  const parts = Math.max(1, Math.min(layers, Math.floor(Math.sqrt((2 * limits.pricedStages) / groups))));
  return Array.from({ length: parts + 1 }, (_, part) => Math.round((part * layers) / parts));
}
