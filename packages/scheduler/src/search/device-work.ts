/** How fast each device is on the work of an interval, as one number, so that layers can be compared with devices. */
import type { CostModel } from '../cost/cost-model.js';
import type { IntervalProblem } from './interval-problem.js';

export interface DeviceWork {
  /** Running sums over the layers of one step's FLOPs of all tasks: `sum[end] − sum[start]`. */
  readonly flops: Float64Array;
  /** FLOP/s of each device on any one layer of the interval, never less than it really reaches. */
  readonly fastest: readonly number[];
  /** FLOP/s of each device on the whole interval. */
  readonly average: readonly number[];
}

/** Indices of all devices, the one with the most of something first. */
export const devicesBy = (
  { devices }: Pick<CostModel, 'devices'>,
  of: (device: number) => number,
): number[] => [...devices.keys()].sort((a, b) => of(b) - of(a) || a - b);

export function deviceWork({ costs, tasks }: IntervalProblem): DeviceWork {
  const flops = new Float64Array(costs.layerCount + 1);
  const kinds = { forward: 0, input: 0, weight: 0 };
  for (const name of tasks) {
    const { sums, samples } = costs.taskNamed(name);
    for (let layer = 0; layer <= costs.layerCount; layer++)
      flops[layer]! +=
        samples * (sums.forwardFlops[layer]! + sums.inputFlops[layer]! + sums.weightFlops[layer]!);
    kinds.forward += samples * sums.forwardFlops[costs.layerCount]!;
    kinds.input += samples * sums.inputFlops[costs.layerCount]!;
    kinds.weight += samples * sums.weightFlops[costs.layerCount]!;
  }
  const total = kinds.forward + kinds.input + kinds.weight;
  return {
    flops,
    fastest: costs.devices.map(({ forwardRate, inputRate, weightRate }) =>
      Math.max(
        kinds.forward > 0 ? forwardRate : 0,
        kinds.input > 0 ? inputRate : 0,
        kinds.weight > 0 ? weightRate : 0,
      ),
    ),
    average: costs.devices.map(
      ({ forwardRate, inputRate, weightRate }) =>
        total / (kinds.forward / forwardRate + kinds.input / inputRate + kinds.weight / weightRate),
    ),
  };
}
