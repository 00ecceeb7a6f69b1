/** How fast each device is on the work of an interval, as one number, so that layers can be compared with devices. */
import type { CostModel } from '../cost/cost-model.js';
import type { IntervalProblem } from './interval-problem.js';

export interface DeviceWork {
  /** Running sums over the layers of one step's FLOPs of all tasks: `sum[end] − sum[start]`. */
  readonly flops: Float64Array;
  /** FLOP/s of each device on any one layer of the interval, never less than it really reaches. */
  readonly fastest: readonly number[];
  /** `flops` and `fastest` without weight gradients. */
  readonly passes: { readonly flops: Float64Array; readonly fastest: readonly number[] };
  /** FLOP/s of each device on the whole interval. */
  readonly average: readonly number[];
  /** Running sums over the layers of one step's seconds of all tasks on each device alone, at its best rates and without launches. */
  readonly seconds: readonly Float64Array[];
}

/** Indices of all devices, the one with the most of something first. */
export const devicesBy = (
  { devices }: Pick<CostModel, 'devices'>,
  of: (device: number) => number,
): number[] => [...devices.keys()].sort((a, b) => of(b) - of(a) || a - b);

export function deviceWork({ costs, tasks }: IntervalProblem): DeviceWork {
  const flops = new Float64Array(costs.layerCount + 1);
  const seconds = costs.devices.map(() => new Float64Array(costs.layerCount + 1));
  const fastest = costs.devices.map(() => 0);
  const passes = { flops: new Float64Array(costs.layerCount + 1), fastest: costs.devices.map(() => 0) };
  const kinds = { forward: 0, input: 0, weight: 0 };
  for (const name of tasks) {
    const { sums, samples } = costs.taskNamed(name);
    for (let layer = 0; layer <= costs.layerCount; layer++) {
      const pass = samples * (sums.forwardFlops[layer]! + sums.inputFlops[layer]!);
      passes.flops[layer]! += pass;
      flops[layer]! += pass + samples * sums.weightFlops[layer]!;
    }
    for (const [device, { forwardRate, inputRate, weightRate }] of costs.devices.entries())
      for (let layer = 0, sum = 0; layer < costs.layerCount; layer++) {
        const forward = sums.forwardFlops[layer + 1]! - sums.forwardFlops[layer]!;
        const input = sums.inputFlops[layer + 1]! - sums.inputFlops[layer]!;
        const weight = sums.weightFlops[layer + 1]! - sums.weightFlops[layer]!;
        const pass = forward / forwardRate + input / inputRate;
        const each = pass + weight / weightRate;
        if (pass > 0) passes.fastest[device] = Math.max(passes.fastest[device]!, (forward + input) / pass);
        if (each > 0) fastest[device] = Math.max(fastest[device]!, (forward + input + weight) / each);
        sum += samples * each;
        seconds[device]![layer + 1]! += sum;
      }
    kinds.forward += samples * sums.forwardFlops[costs.layerCount]!;
    kinds.input += samples * sums.inputFlops[costs.layerCount]!;
    kinds.weight += samples * sums.weightFlops[costs.layerCount]!;
  }
  const total = kinds.forward + kinds.input + kinds.weight;
  return {
    flops,
    fastest,
    passes,
    seconds,
    average: costs.devices.map(
      ({ forwardRate, inputRate, weightRate }) =>
        total / (kinds.forward / forwardRate + kinds.input / inputRate + kinds.weight / weightRate),
    ),
  };
}
