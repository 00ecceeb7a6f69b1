/** What a training step takes in addition to its products: moving segments, calls, AdamW. */
import { type Timing, undisturbed } from '@contextlora/jetson';
import { initialiseSegments, type Partition } from '@contextlora/lora';
import { createLocalModel, type LoadedModel, type LocalModel, type Example } from '@contextlora/model';
import { type DeviceProfile, plan } from '@contextlora/scheduler';
import type { Phase } from '@contextlora/trainer';

import type { SampleShape } from './layer-costs.js';
import { workloadsOf } from './workloads-of.js';

export interface StepOverheadOptions {
  readonly partition: Partition;
  readonly phase: Phase;
  /** The task of the phase that trains, on one example of this shape. */
  readonly task: string;
  readonly example: Example;
  readonly shape: SampleShape;
  /** This machine, with its measured rates. */
  readonly device: DeviceProfile;
  readonly features?: LocalModel['features'];
  /** Monotonic seconds. */
  readonly clock: () => number;
  /** Processor seconds of this process so far. With it, steps that had to wait for a processor are left out if enough others remain. */
  readonly cpuSeconds?: (() => number) | undefined;
}

const [steps, fewestSteps] = [10, 3];

/**
 * Seconds of overhead per layer of a pass: the time that the median step of one sample takes beyond its products, divided among the layers
 * of the forward and the backward pass and the update. Trains a temporary model for ten steps.
 */
export async function stepOverhead(
  base: LoadedModel,
  { partition, phase, task, example, shape, device, features, clock, cpuSeconds }: StepOverheadOptions,
): Promise<number> {
  await using trial = createLocalModel(base, {
    partition,
    segments: initialiseSegments(partition, { seed: 0 }),
    // It writes no answer, so none is too long.
    maximumNewTokens: Infinity,
    ...(features && { features }),
  });
  await trial.setPhase(phase);
  const timings: Timing[] = [];
  for (let step = 0; step < steps; step++) {
    const [start, cpuStart] = [clock(), cpuSeconds?.()];
    await trial.step(task, [[example]], { learningRate: 1e-6 });
    const seconds = clock() - start;
    // The first step fills caches that later ones use.
    if (step > 0)
      timings.push({
        seconds,
        ...(cpuSeconds && cpuStart !== undefined && { cpuSeconds: cpuSeconds() - cpuStart }),
      });
  }
  const seconds = undisturbed(timings, fewestSteps)
    .map((timing) => timing.seconds)
    .sort((a, b) => a - b);
  const workloads = workloadsOf(base.spec, partition, [{ ...phase, tasks: [task] }], {
    trainingOf: () => ({ sample: shape, samples: 1, steps: 1 }),
  });
  const secondsWith = (overheadSeconds: number) =>
    plan(
      workloads.map((workload) => ({ ...workload, dependsOn: [] })),
      { devices: [{ ...device, overheadSeconds, memoryBytes: Number.MAX_SAFE_INTEGER }], links: [] },
      { microbatches: [1], peers: [] },
    ).totalSeconds;
  const products = secondsWith(0);
  return Math.max(0, seconds[seconds.length >> 1]! - products) / (secondsWith(1) - products);
}
