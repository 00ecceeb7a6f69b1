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
 * Sets each device's rates to the FLOPs that it computed divided by the seconds it took; a kind of work that it never did keeps its rate.
 *
 * The fixed time of a layer is part of these rates, so that `overheadSeconds` is 0; links stay as they are.
 */
export function refitCluster(cluster: Cluster, steps: readonly MeasuredStep[]): Cluster {
  return {
    ...cluster,
    devices: cluster.devices.map((device): DeviceProfile => {
      const flops: Record<Kind, number> = { forward: 0, input: 0, weight: 0 };
      const seconds: Record<Kind, number> = { forward: 0, input: 0, weight: 0 };
      for (const step of steps) addStep(step, device.id, flops, seconds);
      // Where both halves of the backward pass run as one, their time is that of the first.
      const backward = (flops.input + flops.weight) / (seconds.input + seconds.weight);
      const rate = (kind: Kind) => {
        const measured = kind === 'forward' ? flops.forward / seconds.forward : backward;
        return measured > 0 && measured < Infinity ? measured : rateBefore(device, kind);
      };
      return {
        ...device,
        flopsPerSecond: { forward: rate('forward'), input: rate('input'), weight: rate('weight') },
        overheadSeconds: 0,
      };
    }),
  };
}

function rateBefore({ flopsPerSecond }: DeviceProfile, kind: Kind) {
  return typeof flopsPerSecond === 'object' && 'forward' in flopsPerSecond
    ? flopsPerSecond[kind]
    : flopsPerSecond;
}

function addStep(
  { schedule, workloads, spans }: MeasuredStep,
  device: string,
  flops: Record<Kind, number>,
  seconds: Record<Kind, number>,
): void {
  const program = schedule.programs.find((one) => one.device === device);
  const stage = program && schedule.placements[program.placement]!.stages[program.stage]!;
  if (!stage) return;
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
}
