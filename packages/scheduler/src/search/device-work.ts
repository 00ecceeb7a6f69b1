/** How fast each device is on the work of an interval, as one number, so that layers can be compared with devices. */
import type { CostModel } from '../cost/cost-model.js';
import type { IntervalProblem } from './interval-problem.js';

export interface DeviceWork {
  /** Running sums over the layers of one step's FLOPs of all tasks: `sum[end] − sum[start]`. */
  readonly flops: Float64Array;
  /** FLOP/s of each device on the whole interval. */
  readonly average: readonly number[];
  /** Running sums over the layers of one step's seconds of all tasks on each device alone, at its best rates and each pass launched once. */
  readonly seconds: readonly Float64Array[];
  readonly all: Work;
  /** Without weight gradients. */
  readonly passes: Work;
}

/** What bounds the time of devices that share layers and samples: none does a part x of a layer in less than x · its work / its speed. */
export interface Work {
  /** Running sums over the layers of one step's seconds of all tasks on the quickest device alone. */
  readonly seconds: Float64Array;
  /** How many times as fast as that device each one is, on the layer that suits it best. */
  readonly speeds: readonly number[];
}

/** Indices of all devices, the one with the most of something first. */
export const devicesBy = (
  { devices }: Pick<CostModel, 'devices'>,
  of: (device: number) => number,
): number[] => [...devices.keys()].sort((a, b) => of(b) - of(a) || a - b);

export function deviceWork({ costs, tasks }: IntervalProblem): DeviceWork {
  const { layerCount, devices } = costs;
  const flops = new Float64Array(layerCount + 1);
  const kinds = { forward: 0, input: 0, weight: 0 };
  /** Seconds of each task in each layer, by device: of both passes, and with the weight gradient. */
  const passing = devices.map(() => new Float64Array(tasks.length * layerCount));
  const computing = devices.map(() => new Float64Array(tasks.length * layerCount));
  for (const [index, name] of tasks.entries()) {
    const { sums, samples } = costs.taskNamed(name);
    const of = (sum: Float64Array, layer: number) => sum[layer + 1]! - sum[layer]!;
    for (let layer = 0; layer < layerCount; layer++) {
      const forward = samples * of(sums.forwardFlops, layer);
      const input = samples * of(sums.inputFlops, layer);
      const weight = samples * of(sums.weightFlops, layer);
      const launches = of(sums.forwardLayers, layer) + of(sums.backwardLayers, layer);
      flops[layer + 1]! += forward + input + weight;
      kinds.forward += forward;
      kinds.input += input;
      kinds.weight += weight;
      for (const [device, { forwardRate, inputRate, weightRate, overheadSeconds }] of devices.entries()) {
        const at = index * layerCount + layer;
        const passed = forward / forwardRate + input / inputRate + launches * overheadSeconds;
        passing[device]![at] = passed;
        computing[device]![at] = passed + weight / weightRate;
      }
    }
  }
  for (let layer = 0; layer < layerCount; layer++) flops[layer + 1]! += flops[layer]!;
  const seconds = computing.map((each) => overLayers(each, layerCount));
  const total = kinds.forward + kinds.input + kinds.weight;
  return {
    flops,
    seconds,
    all: workOf(computing, layerCount),
    passes: workOf(passing, layerCount),
    average: devices.map(
      ({ forwardRate, inputRate, weightRate }) =>
        total / (kinds.forward / forwardRate + kinds.input / inputRate + kinds.weight / weightRate),
    ),
  };
}

function overLayers(each: Float64Array, layerCount: number): Float64Array {
  const sums = new Float64Array(layerCount + 1);
  for (const [at, seconds] of each.entries()) sums[(at % layerCount) + 1]! += seconds;
  for (let layer = 0; layer < layerCount; layer++) sums[layer + 1]! += sums[layer]!;
  return sums;
}

function workOf(each: readonly Float64Array[], layerCount: number): Work {
  const sums = each.map((seconds) => overLayers(seconds, layerCount));
  const quickest = sums.reduce((a, sum, b) => (sum[layerCount]! < sums[a]![layerCount]! ? b : a), 0);
  const speeds = each.map(
    (seconds) =>
      seconds.reduce((most, one, at) => (one > 0 ? Math.max(most, each[quickest]![at]! / one) : most), 0) ||
      1,
  );
  return { seconds: sums[quickest]!, speeds };
}
