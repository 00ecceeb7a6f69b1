/** The order of the steps of a phase. */
import type { Phase } from '../plan/plan-phases.js';

/** A step of one task of a phase. */
export interface Turn {
  readonly task: string;
  /** From 0. */
  readonly step: number;
}

/** The optimizer steps of a phase in order: siblings alternate, which equals one after the other since each has its own optimizer. */
export function turnsOf(phase: Phase, stepsOf: (task: string) => number): Turn[] {
  const longest = Math.max(0, ...phase.tasks.map(stepsOf));
  return Array.from({ length: longest }, (_, step) =>
    phase.tasks.filter((task) => step < stepsOf(task)).map((task) => ({ task, step })),
  ).flat();
}

/** The turns that are taken at once: one by one or, by a model that can, the siblings' steps of the same number. */
export function roundsOf(turns: readonly Turn[], { together }: { readonly together: boolean }): Turn[][] {
  const rounds: Turn[][] = [];
  for (const turn of turns) {
    const last = rounds.at(-1);
    if (together && last?.[0]?.step === turn.step) last.push(turn);
    else rounds.push([turn]);
  }
  return rounds;
}
