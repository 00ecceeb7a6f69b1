/** This project's side of a training plan. */
import { createLocalModel, type ImageFeatures, type LoadedModel } from '@contextlora/model';
import type { Partition, Segments } from '@contextlora/lora';
import type { Phase } from '@contextlora/trainer';

import type { PlannedTask, TrainingSide } from './peft-training.js';

/** Trains the planned tasks on a loaded base. */
export function startLocal(
  base: LoadedModel,
  {
    tasks,
    phases,
    partition,
    segments,
    features,
  }: {
    tasks: readonly PlannedTask[];
    phases: readonly Phase[];
    partition: Partition;
    segments: Segments;
    features: ImageFeatures;
  },
): TrainingSide {
  const model = createLocalModel(base, { partition, segments, features });
  let task: PlannedTask | undefined;
  let at = 0;
  return {
    about: `node ${process.versions.node}, backend ${base.kernels.backend}`,
    async phase(id) {
      task = tasks.find((one) => one.id === id);
      at = 0;
      const roles = phases.find(({ tasks: trained }) => trained.includes(id))?.roles[id] ?? {};
      await model.setPhase({ tasks: [id], roles: { [id]: roles } });
      const drawn = new Set(task?.batches.flat());
      const stop = stopwatch();
      await features.get(
        [...drawn].sort((p, q) => p - q).flatMap((index) => task?.examples[index]?.image ?? []),
      );
      return stop();
    },
    async steps(count) {
      const losses: number[] = [];
      const { id, examples, batches, learningRates } = task!;
      const stop = stopwatch();
      for (const end = at + count; at < end; at++) {
        const batch = batches[at]!.map((index) => examples[index]!);
        const { loss } = await model.step(id, [batch], { learningRate: learningRates[at]! });
        losses.push(loss);
      }
      return { ...stop(), losses, peakBytes: process.resourceUsage().maxRSS * 1024 };
    },
    save: () => Promise.resolve(),
    segments: () => Promise.resolve(model.segments()),
    end: () => undefined,
  };
}

function stopwatch() {
  const [wall, cpu] = [performance.now(), process.cpuUsage()];
  return () => {
    const { user, system } = process.cpuUsage(cpu);
    return { seconds: (performance.now() - wall) / 1000, cpuSeconds: (user + system) / 1e6 };
  };
}
