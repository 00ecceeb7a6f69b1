/** The cluster as measured steps show it: the rates that its devices really reached. */
import type { Cluster, DeviceProfile, LayerCost } from '@contextlora/scheduler';

import type { MeasuredStep } from '../pipeline/measured-step.js';

type Kind = 'forward' | 'input' | 'weight';

const flopsOf: Readonly<Record<Kind, (layer: LayerCost) => number>> = {
  forward: ({ forwardFlops }) => forwardFlops,
  input: ({ inputFlops }) => inputFlops,
  weight: ({ weightFlops }) => weightFlops,
};

/**
 * Sets each device's rates to the FLOPs that it computed per second, the median of the steps, so that a step that the machine held up
 * does not count; a kind of work that it never did keeps its rate.
 *
 * The fixed time of a layer is part of these rates, so that `overheadSeconds` is 0; links stay as they are.
 */
export function refitCluster(cluster: Cluster, steps: readonly MeasuredStep[]): Cluster {
  return {
    ...cluster,
    devices: cluster.devices.map((device): DeviceProfile => {
      const measured = steps.map((step) => ratesOf(step, device.id));
      const rate = (kind: Kind) => {
        const found = median(measured.map((rates) => rates[kind]).filter((one) => one > 0 && one < Infinity));
        return found ?? rateBefore(device, kind);
      };
      return {
        ...device,
        flopsPerSecond: { forward: rate('forward'), input: rate('input'), weight: rate('weight') },
        overheadSeconds: 0,
      };
    }),
  };
}

function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

function rateBefore({ flopsPerSecond }: DeviceProfile, kind: Kind) {
  return typeof flopsPerSecond === 'object' && 'forward' in flopsPerSecond
    ? flopsPerSecond[kind]
    : flopsPerSecond;
}

/** FLOPs per second of a device in a step; NaN or infinite where it did no such work. */
function ratesOf({ schedule, workloads, spans }: MeasuredStep, device: string): Record<Kind, number> {
  const flops: Record<Kind, number> = { forward: 0, input: 0, weight: 0 };
  const seconds: Record<Kind, number> = { forward: 0, input: 0, weight: 0 };
  const program = schedule.programs.find((one) => one.device === device);
  const stage = program && schedule.placements[program.placement]!.stages[program.stage]!;
  if (!stage) return { forward: NaN, input: NaN, weight: NaN };
  const layersOf = new Map(workloads.map(({ name, layers }) => [name, layers.slice(stage.start, stage.end)]));
  const kinds = { forward: 'forward', backwardInput: 'input', backwardWeight: 'weight' } as const;
  for (const { type, task, samples } of program.instructions.flatMap((one) =>
    'samples' in one ? [one] : [],
  )) {
    if (type !== 'forward' && type !== 'backwardInput' && type !== 'backwardWeight') continue;
    const kind = kinds[type];
    flops[kind] += samples * layersOf.get(task)!.reduce((sum, layer) => sum + flopsOf[kind](layer), 0);
  }
  for (const { device: of, type, startSeconds, endSeconds } of spans) {
    if (of !== device || (type !== 'forward' && type !== 'backwardInput' && type !== 'backwardWeight'))
      continue;
    seconds[kinds[type]] += endSeconds - startSeconds;
  }
  // Where both halves of the backward pass run as one, their time is that of the first.
  const backward = (flops.input + flops.weight) / (seconds.input + seconds.weight);
  return { forward: flops.forward / seconds.forward, input: backward, weight: backward };
}
