/** Reads a device's memory use out of a finished schedule. */
import type { Schedule } from './build-schedule.js';
import type { CostModel } from '../cost/cost-model.js';
import { activationBytes, type MemoryUse, residentBytes } from '../cost/memory.js';

/** Memory of the program at `index` in the schedule. */
export function memoryOf(costs: CostModel, schedule: Schedule, index: number): MemoryUse {
  const { device, placement: placementIndex, stage: stageIndex, instructions } = schedule.programs[index]!;
  const placement = schedule.placements[placementIndex]!;
  const stage = placement.stages[stageIndex]!;
  const member = stage.members.find((candidate) => candidate.device === device)!;
  const mostSamples = new Map<number, number>();
  const frees = new Map<number, 'backwardInput' | 'backwardWeight'>();
  for (const name of placement.tasks) {
    const task = costs.taskIndex(name);
    const { weightFlops } = costs.tasks[task]!.sums;
    mostSamples.set(task, 0);
    frees.set(task, weightFlops[stage.end]! > weightFlops[stage.start]! ? 'backwardWeight' : 'backwardInput');
  }
  let held = 0;
  let peak = 0;
  for (const instruction of instructions) {
    if (
      instruction.type !== 'forward' &&
      instruction.type !== 'backwardInput' &&
      instruction.type !== 'backwardWeight'
    )
      continue;
    const task = costs.taskIndex(instruction.task);
    const bytes = activationBytes(costs, task, stage, member, instruction.samples);
    if (instruction.type === 'forward') {
      mostSamples.set(task, Math.max(mostSamples.get(task)!, instruction.samples));
      held += bytes;
      peak = Math.max(peak, held);
    } else if (frees.get(task) === instruction.type) held -= bytes;
  }
  const resident = residentBytes(costs, placement, stageIndex, member, {
    window: schedule.window,
    mostSamples: (task) => mostSamples.get(task) ?? 0,
  });
  return {
    ...resident,
    activationBytes: peak,
    totalBytes: resident.parameterBytes + resident.optimizerBytes + resident.bufferBytes + peak,
  };
}
