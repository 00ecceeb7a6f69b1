/** What a training step takes beside its products: segments to and fro, calls, AdamW. */
import { type Timing, undisturbed } from '@contextlora/jetson';
import { initialiseSegments, type Partition } from '@contextlora/lora';
import { createLocalModel, type LoadedModel, type LocalModel, type Example } from '@contextlora/model';
import { type DeviceProfile, plan } from '@contextlora/scheduler';
import type { Phase } from '@contextlora/trainer';

import { type SampleShape, workloadsOf } from './workloads-of.js';

export interface StepOverheadOptions {
  readonly partition: Partition;
  readonly phases: readonly Phase[];
  /** The task that trains, on one example of this shape. */
  readonly task: string;
  readonly example: Example;
  readonly shape: SampleShape;
  /** This machine, by its rates. */
  readonly device: DeviceProfile;
  readonly features?: LocalModel['features'];
  /** Monotonic seconds. */
  readonly clock: () => number;
  /** Processor time of this process so far: steps that had to wait for a processor do not count, where others are enough. */
  readonly cpuSeconds?: (() => number) | undefined;
}

const [steps, fewestSteps] = [10, 3];

/**
 * The overhead of each of a step's three instructions (forward, backward, update): a third of what the median of a few steps of one sample
 * takes beyond its products. The model that is trained for it is thrown away.
 */
export async function stepOverhead(
  base: LoadedModel,
  { partition, phases, task, example, shape, device, features, clock, cpuSeconds }: StepOverheadOptions,
): Promise<number> {
  const phase = phases.find(({ tasks }) => tasks.includes(task))!;
  await using trial = createLocalModel(base, {
    partition,
    segments: initialiseSegments(partition, { seed: 0 }),
    ...(features && { features }),
  });
  await trial.setPhase(phase);
  const timings: Timing[] = [];
  for (let step = 0; step < steps; step++) {
    const [start, cpuStart] = [clock(), cpuSeconds?.()];
    await trial.step(task, [[example]], { learningRate: 1e-6 });
    const seconds = clock() - start;
    // The first one makes what later ones find.
    if (step > 0)
      timings.push({ seconds, ...(cpuStart !== undefined && { cpuSeconds: cpuSeconds!() - cpuStart }) });
  }
  const seconds = undisturbed(timings, fewestSteps)
    .map((timing) => timing.seconds)
    .sort((a, b) => a - b);
  const [workload] = workloadsOf(base.spec, partition, [{ ...phase, tasks: [task] }], {
    trainingOf: () => ({ sample: shape, samples: 1, steps: 1 }),
  });
  const products = plan(
    [{ ...workload!, dependsOn: [] }],
    { devices: [{ ...device, memoryBytes: Number.MAX_SAFE_INTEGER }], links: [] },
    { microbatches: [1], peers: [] },
  ).totalSeconds;
  return Math.max(0, seconds[seconds.length >> 1]! - products) / 3;
}
