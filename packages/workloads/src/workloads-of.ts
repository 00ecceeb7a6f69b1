/** Where the two halves meet: a model, its partition and its phases (ContextLoRA) become workloads (ContextGear). */
import type { Partition } from '@contextlora/lora';
import type { ModelSpec } from '@contextlora/model';
import type { Workload } from '@contextlora/scheduler';
import type { Phase } from '@contextlora/trainer';

import { layerCosts, type LayerCostOptions, type SampleShape } from './layer-costs.js';

/** How one task trains. */
export interface TaskTraining {
  readonly sample: SampleShape;
  /** Samples per optimizer step. */
  readonly samples: number;
  readonly steps?: number;
  readonly epochs?: number;
}

export interface WorkloadsOfOptions extends Omit<LayerCostOptions, 'sample'> {
  readonly trainingOf: (task: string) => TaskTraining;
}

/** One workload per training task, in the order of the phases. Tasks depend on each other as the partition says. */
export function workloadsOf(
  spec: ModelSpec,
  partition: Partition,
  phases: readonly Phase[],
  { trainingOf, ...options }: WorkloadsOfOptions,
): Workload[] {
  return phases.flatMap(({ tasks, roles }) =>
    tasks.map((task): Workload => {
      const { sample, samples, steps, epochs } = trainingOf(task);
      return {
        name: task,
        samples,
        ...(steps === undefined ? {} : { steps }),
        ...(epochs === undefined ? {} : { epochs }),
        dependsOn: partition.tasks[task]?.dependsOn ?? [],
        layers: layerCosts(spec, partition, roles[task] ?? {}, { sample, ...options }),
      };
    }),
  );
}
