/**
 * What a device must hold; nothing here depends on timing.
 *
 *   parameters + optimizer state of every task in the pipeline
 *   + buffers: `window` messages for each boundary and direction on which the stage sends or receives
 *   + activations in flight                               (none for layers below the lowest trained one)
 */
import type { Member, Placement } from '../schedule/placement.js';
import type { CostModel } from './cost-model.js';
import {
  boundaryBytes,
  gradientCrosses,
  hasBackward,
  type LayerRange,
  type TaskCosts,
} from './task-costs.js';

export interface MemoryUse {
  readonly parameterBytes: number;
  readonly optimizerBytes: number;
  readonly bufferBytes: number;
  /** At the fullest moment of the program. */
  readonly activationBytes: number;
  readonly totalBytes: number;
}

/** Parameters and optimizer state. */
export type StateBytes = Pick<MemoryUse, 'parameterBytes' | 'optimizerBytes'>;

/** State of a range of layers: tasks share one model, so the largest need of parameters counts, and everyone's optimizer state. */
export function stateBytes(tasks: readonly TaskCosts[], { start, end }: LayerRange): StateBytes {
  let parameterBytes = 0;
  let optimizerBytes = 0;
  for (const { sums } of tasks) {
    parameterBytes = Math.max(parameterBytes, sums.parameterBytes[end]! - sums.parameterBytes[start]!);
    optimizerBytes += sums.optimizerBytes[end]! - sums.optimizerBytes[start]!;
  }
  return { parameterBytes, optimizerBytes };
}

/** State of each layer. */
export const layerStates = (tasks: readonly TaskCosts[], layerCount: number): StateBytes[] =>
  Array.from({ length: layerCount }, (_, layer) => stateBytes(tasks, { start: layer, end: layer + 1 }));

/** Activations of so many samples of a task on a member of a stage. */
export const activationBytes = (
  { sums }: TaskCosts,
  { start, end }: LayerRange,
  samples: number,
  { work = 1 }: Pick<Member, 'work'> = {},
): number => (sums.activationBytes[end]! - sums.activationBytes[start]!) * samples * work;

/**
 * All that a member of a stage holds but activations.
 *
 * @param mostSamples of a micro-batch on this member, by the task's place in the placement
 */
export function residentBytes(
  costs: CostModel,
  { tasks: names, stages }: Placement,
  stageIndex: number,
  { parameters = 1, optimizer = 1 }: Member,
  { window, mostSamples }: { readonly window: number; readonly mostSamples: readonly number[] },
): Omit<MemoryUse, 'activationBytes' | 'totalBytes'> {
  const stage = stages[stageIndex]!;
  const { start, end } = stage;
  const tasks = names.map(costs.taskNamed);
  let below = 0;
  let above = 0;
  for (const [index, task] of tasks.entries()) {
    const samples = mostSamples[index]!;
    if (start > 0)
      below = Math.max(below, boundaryBytes(task, start) * samples * (gradientCrosses(task, start) ? 2 : 1));
    if (end < costs.layerCount)
      above = Math.max(above, boundaryBytes(task, end) * samples * (hasBackward(task, end) ? 2 : 1));
  }
  const { parameterBytes, optimizerBytes } = stateBytes(tasks, stage);
  return {
    parameterBytes: parameterBytes * parameters,
    optimizerBytes: optimizerBytes * optimizer,
    bufferBytes: window * (below + above),
  };
}

/** Whether every member holds its layers and one micro-batch; policies keep to what is left above that. */
export function fitsMemory(costs: CostModel, placement: Placement, window: number): boolean {
  const shares = costs.sharesOf(placement);
  const tasks = placement.tasks.map(costs.taskNamed);
  return placement.stages.every((stage, stageIndex) =>
    stage.members.every((member, memberIndex) => {
      const mostSamples = shares.map((stages) => costs.loadsOf(stages[stageIndex]!)[memberIndex]!.most);
      const { parameterBytes, optimizerBytes, bufferBytes } = residentBytes(
        costs,
        placement,
        stageIndex,
        member,
        { window, mostSamples },
      );
      const activations = Math.max(
        ...tasks.map((task, index) => activationBytes(task, stage, mostSamples[index]!, member)),
      );
      const needed = parameterBytes + optimizerBytes + bufferBytes + activations;
      return needed <= costs.deviceNamed(member.device).memoryBytes;
    }),
  );
}
