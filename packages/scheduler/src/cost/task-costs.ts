/** A task's costs as running sums over the layers, and the facts about its backward pass that follow from what trains. */
import { type LayerCost, lowestTrainedLayer, type Workload } from '../problem/workload.js';
import type { Stage } from '../schedule/placement.js';

/** Running sums over the layers, so that a stage's cost is one subtraction: `sum[end] − sum[start]`. */
export interface LayerSums {
  readonly forwardFlops: Float64Array;
  readonly inputFlops: Float64Array;
  readonly weightFlops: Float64Array;
  readonly parameterBytes: Float64Array;
  readonly gradientBytes: Float64Array;
  readonly optimizerBytes: Float64Array;
  readonly activationBytes: Float64Array;
  readonly outputBytes: readonly number[];
  /** Layers that a forward, and a backward pass computes: each costs the device's overhead. */
  readonly forwardLayers: Float64Array;
  readonly backwardLayers: Float64Array;
}

export interface TaskCosts {
  readonly name: string;
  readonly samples: number;
  readonly sums: LayerSums;
  /** Number of layers when nothing trains. */
  readonly lowestTrained: number;
}

/** A contiguous range of layers, `end` excluded. */
export interface LayerRange {
  readonly start: number;
  readonly end: number;
}

export function taskCosts(workload: Workload): TaskCosts {
  const { name, samples, layers } = workload;
  const lowestTrained = lowestTrainedLayer(workload);
  const running = (of: (layer: LayerCost) => number, from = 0) => {
    const sums = new Float64Array(layers.length + 1);
    let sum = 0;
    for (const [index, layer] of layers.entries()) {
      if (index >= from) sum += of(layer);
      sums[index + 1] = sum;
    }
    return sums;
  };
  const sums: LayerSums = {
    forwardFlops: running((layer) => layer.forwardFlops),
    inputFlops: running((layer) => layer.inputFlops),
    weightFlops: running((layer) => layer.weightFlops),
    parameterBytes: running((layer) => layer.parameterBytes),
    gradientBytes: running((layer) => layer.gradientBytes),
    optimizerBytes: running((layer) => layer.optimizerBytes),
    // A frozen prefix has no backward pass, so it keeps nothing, whatever the layer would keep elsewhere.
    activationBytes: running((layer) => layer.activationBytes, lowestTrained),
    outputBytes: layers.map(({ outputBytes }) => outputBytes),
    forwardLayers: running(({ forwardFlops }) => (forwardFlops > 0 ? 1 : 0)),
    backwardLayers: running(({ inputFlops, weightFlops }) => (inputFlops > 0 || weightFlops > 0 ? 1 : 0)),
  };
  return { name, samples, sums, lowestTrained };
}

/** Whether a stage that ends before layer `end` has a backward pass for the task. */
export const hasBackward = ({ lowestTrained }: TaskCosts, end: number): boolean => end > lowestTrained;

/** Whether the task's gradient crosses the boundary below layer `start`: something at or below it trains. */
export const gradientCrosses = ({ lowestTrained }: TaskCosts, start: number): boolean =>
  start > lowestTrained;

/** Whether a stage trains anything of the task, rather than only passing gradients on. */
export const trains = ({ sums: { weightFlops } }: TaskCosts, { start, end }: LayerRange): boolean =>
  weightFlops[end]! > weightFlops[start]!;

/** Bytes of one sample across the boundary below layer `start`, the same for an activation and its gradient. */
export const boundaryBytes = ({ sums }: TaskCosts, start: number): number => sums.outputBytes[start - 1]!;

/** Bytes of the gradients that a stage's group exchanges in a step. */
export const gradientBytes = (
  { sums }: TaskCosts,
  { start, end, gradients = 1 }: LayerRange & Pick<Stage, 'gradients'>,
): number => gradients * (sums.gradientBytes[end]! - sums.gradientBytes[start]!);

/** Whether a stage's members begin the next step together: one that trains, or a group that exchanges gradients. */
export const endsStepTogether = (task: TaskCosts, stage: Stage): boolean =>
  trains(task, stage) && (stage.members.length === 1 || gradientBytes(task, stage) > 0);
