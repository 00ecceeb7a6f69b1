/** The memory use of a device's program, from the order of its instructions. */
import type { CostModel } from '../cost/cost-model.js';
import { activationBytes, type MemoryUse, residentBytes } from '../cost/memory.js';
import { trains } from '../cost/task-costs.js';
import type { Schedule } from './schedule.js';

/** Memory of the program at `index` in the schedule. */
export function memoryOf(costs: CostModel, schedule: Schedule, index: number): MemoryUse {
  const { device, placement: placementIndex, stage: stageIndex, instructions } = schedule.programs[index]!;
  const placement = schedule.placements[placementIndex]!;
  const stage = placement.stages[stageIndex]!;
  const member = stage.members.find((candidate) => candidate.device === device)!;
  const tasks = new Map(
    placement.tasks.map((name) => {
      const task = costs.taskNamed(name);
      const letsGoAfter = trains(task, stage) ? 'backwardWeight' : 'backwardInput';
      return [name, { task, letsGoAfter, mostSamples: 0 }];
    }),
  );
  let held = 0;
  let peak = 0;
  for (const instruction of instructions) {
    const { type } = instruction;
    if (type !== 'forward' && type !== 'backwardInput' && type !== 'backwardWeight') continue;
    const state = tasks.get(instruction.task);
    if (!state) continue;
    const bytes = activationBytes(state.task, stage, instruction.samples, member);
    if (type === 'forward') {
      state.mostSamples = Math.max(state.mostSamples, instruction.samples);
      held += bytes;
      peak = Math.max(peak, held);
    } else if (type === state.letsGoAfter) held -= bytes;
  }
  const resident = residentBytes(costs, placement, stageIndex, member, {
    window: schedule.window,
    mostSamples: placement.tasks.map((name) => tasks.get(name)!.mostSamples),
  });
  return {
    ...resident,
    activationBytes: peak,
    totalBytes: resident.parameterBytes + resident.optimizerBytes + resident.bufferBytes + peak,
  };
}
