/** An interval is a run of equal optimizer steps: the same tasks, the same costs, hence one placement. This file defines the question and the answer. */
import type { Pass } from '../schedule/passes/pass.js';
import type { CostModel } from '../cost/cost-model.js';
import type { Placement } from '../schedule/placement.js';
import type { Policy } from '../schedule/policies/policy.js';
import type { DeviceUse } from '../simulate/timeline.js';

/** What to minimise: seconds, joules, or a weighted sum of them. */
export type Objective = 'time' | 'energy' | { readonly secondsWeight: number; readonly joulesWeight: number };

export interface IntervalProblem {
  /** Of the active tasks alone. */
  readonly costs: CostModel;
  readonly tasks: readonly string[];
  /** Optimizer steps of each task. */
  readonly steps: number;
  readonly cache: Readonly<Record<string, 'write' | 'read'>>;
  /** Of each cached task's prefix, over one epoch. */
  readonly cacheBytes: Readonly<Record<string, number>>;
  readonly objective: Objective;
  /** Numbers of micro-batches a step may be divided into. */
  readonly microbatches: readonly number[];
  /** Whether these are only examples: the caller allows every number up to the samples of a step. */
  readonly anyMicrobatches?: boolean;
  readonly window: number;
  /** Devices of one stage at most; 1 forbids data parallelism. */
  readonly groupLimit: number;
  /** Orders to try first; the search looks at ContextGear's other depths besides. */
  readonly policies: readonly Policy[];
}

/** All layers on one device. */
export const placementOn = (
  { costs, tasks }: IntervalProblem,
  device: string,
  microbatches: number,
): Placement => ({
  tasks,
  microbatches,
  stages: [{ start: 0, end: costs.layerCount, members: [{ device, share: 1 }] }],
});

/** A placement and what the simulator found. */
export interface Assessment {
  readonly placement: Placement;
  readonly policy: Policy;
  /** What the strategy adds to the standard passes. */
  readonly passes: readonly Pass[];
  /** What the search minimises. */
  readonly value: number;
  /** Of all steps. */
  readonly totalSeconds: number;
  /** Of one round once the pipeline is full. */
  readonly stepSeconds: number;
  /** Of all steps; undefined when no used device's power is known. */
  readonly totalJoules: number | undefined;
  readonly bytesPerStep: number;
  /** Seconds of a step in which its messages have each medium's air. */
  readonly airSeconds: readonly number[];
  readonly peakMemoryBytes: Readonly<Record<string, number>>;
  /** How the devices spent the simulated steps. */
  readonly devices: readonly DeviceUse[];
  readonly simulatedSteps: number;
}

export const valueOf = (objective: Objective, seconds: number, joules: number): number => {
  if (objective === 'time') return seconds;
  if (objective === 'energy') return joules;
  return objective.secondsWeight * seconds + objective.joulesWeight * joules;
};
