/** The order of the steps of a phase. */
import type { Phase } from '../plan/plan-phases.js';

/** The optimizer steps of a phase in order: siblings alternate, which equals one after the other since each has its own optimizer. */
export function turnsOf(phase: Phase, stepsOf: (task: string) => number): { task: string; step: number }[] {
  const longest = Math.max(0, ...phase.tasks.map(stepsOf));
  return Array.from({ length: longest }, (_, step) =>
    phase.tasks.filter((task) => step < stepsOf(task)).map((task) => ({ task, step })),
  ).flat();
}
