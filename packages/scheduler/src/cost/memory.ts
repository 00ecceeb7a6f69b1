/**
 * What a device must hold, from a schedule's own order: nothing here depends on timing.
 *
 *   parameters + optimizer state of every task in the pipeline
 *   + buffers: `window` messages for each boundary and direction the stage sends or receives on
 *   + activations in flight, counted in program order                      (none for layers below the lowest trained one)
 */
import { boundaryBytes, type CostModel, gradientCrosses, hasBackward } from './cost-model.js';
import type { Member, Placement, Stage } from '../schedule/placement.js';

export interface MemoryUse {
  readonly parameterBytes: number;
  readonly optimizerBytes: number;
  readonly bufferBytes: number;
  /** At the fullest moment of the program. */
  readonly activationBytes: number;
  readonly totalBytes: number;
}

/** Bytes of one micro-batch's activations on a member that handles `samples` of it. */
export function activationBytes(
  costs: CostModel,
  task: number,
  { start, end }: Stage,
  { work = 1 }: Member,
  samples: number,
): number {
  const { sums } = costs.tasks[task]!;
  return (sums.activationBytes[end]! - sums.activationBytes[start]!) * samples * work;
}

/** All but activations. `mostSamples(task)`: of a micro-batch on this member. */
export function residentBytes(
  costs: CostModel,
  placement: Placement,
  stageIndex: number,
  member: Member,
  { window, mostSamples }: { window: number; mostSamples: (task: number) => number },
): Omit<MemoryUse, 'activationBytes' | 'totalBytes'> {
  const { start, end } = placement.stages[stageIndex]!;
  let parameterBytes = 0;
  let optimizerBytes = 0;
  let below = 0;
  let above = 0;
  for (const name of placement.tasks) {
    const index = costs.taskIndex(name);
    const task = costs.tasks[index]!;
    const { sums } = task;
    // The tasks share one model; what differs is which layers they still need.
    parameterBytes = Math.max(parameterBytes, sums.parameterBytes[end]! - sums.parameterBytes[start]!);
    optimizerBytes += sums.optimizerBytes[end]! - sums.optimizerBytes[start]!;
    const samples = mostSamples(index);
    if (start > 0)
      below = Math.max(below, boundaryBytes(task, start) * samples * (gradientCrosses(task, start) ? 2 : 1));
    if (end < costs.layerCount)
      above = Math.max(above, boundaryBytes(task, end) * samples * (hasBackward(task, end) ? 2 : 1));
  }
  return {
    parameterBytes: parameterBytes * (member.parameters ?? 1),
    optimizerBytes: optimizerBytes * (member.optimizer ?? 1),
    bufferBytes: window * (below + above),
  };
}
