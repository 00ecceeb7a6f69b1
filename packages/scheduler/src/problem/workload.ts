/**
 * What one task's training step costs, layer by layer, as plain numbers (the scheduler knows no tensors and no LoRA).
 *
 * The scheduler sees freezing and masking only in these numbers: `weightFlops` is 0 where nothing trains, `inputFlops` is 0 up to and
 * including the lowest layer that trains.
 */

/** Costs of one layer; those that grow with the samples are per sample. */
export interface LayerCost {
  readonly name: string;
  /** FLOPs of the forward pass of one sample. */
  readonly forwardFlops: number;
  /** FLOPs of one sample's gradient with respect to the layer's input; 0 where nothing below trains. */
  readonly inputFlops: number;
  /** FLOPs of one sample's weight gradients in this layer; 0 where nothing trains. */
  readonly weightFlops: number;
  /** What the layer keeps resident: base weights and adapters. */
  readonly parameterBytes: number;
  /** Weight gradients, which data-parallel devices exchange in a step. */
  readonly gradientBytes: number;
  /** Optimizer state and gradients kept in memory. */
  readonly optimizerBytes: number;
  /** What one sample keeps between its forward and its backward pass. */
  readonly activationBytes: number;
  /** One sample's output, as it is sent to the next stage; its gradient has the same size. */
  readonly outputBytes: number;
}

/** One task to train. */
export interface Workload {
  readonly name: string;
  /** Samples of one optimizer step; they are divided into micro-batches. */
  readonly samples: number;
  /** In the order of the forward pass. */
  readonly layers: readonly LayerCost[];
  /** Optimizer steps in total; 1 when absent. */
  readonly steps?: number;
  /** How often every sample is seen in these steps; 1 when absent. From the second time on, a frozen prefix can come from a cache. */
  readonly epochs?: number;
  /** Names of its parents, which must be finished first. Workloads that do not wait for each other are siblings. */
  readonly dependsOn?: readonly string[];
  /** Samples of each validation, which runs forward only; 0 when absent. */
  readonly validationSamples?: number;
  /** Samples that each parent answers before the first step, forward only; 0 when absent. */
  readonly promptSamples?: number;
}

/**
 * The lowest layer with any backward work, or the number of layers when nothing trains.
 *
 * Below it there is no backward pass, and no gradient crosses.
 */
export function lowestTrainedLayer({ layers }: Workload): number {
  const lowest = layers.findIndex(({ inputFlops, weightFlops }) => inputFlops > 0 || weightFlops > 0);
  return lowest < 0 ? layers.length : lowest;
}

/**
 * The same workload with the outputs of its frozen prefix read from a cache: the layers below the lowest trained one cost nothing.
 * Their outputs keep their size, because the lowest trained layer still reads one of them.
 */
export function withCachedPrefix(workload: Workload): Workload {
  const lowest = lowestTrainedLayer(workload);
  return {
    ...workload,
    layers: workload.layers.map((layer, index) =>
      index < lowest ? { ...layer, forwardFlops: 0, parameterBytes: 0, activationBytes: 0 } : layer,
    ),
  };
}
