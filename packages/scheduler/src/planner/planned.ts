/** A plan: plain values, to be written to a file, inspected and read back. */
import type { ChosenModes } from '../problem/power-modes.js';
import type { Placement } from '../schedule/placement.js';
import type { Explanation } from './explain.js';

/** A run of equal steps of the same tasks, on the same placement. */
export interface PlannedInterval {
  readonly tasks: readonly string[];
  /** Optimizer steps of each task. */
  readonly steps: number;
  readonly cache: Readonly<Record<string, 'write' | 'read'>>;
  readonly placement: Placement;
  readonly policy: string;
  /** `ContextGear`, or the peer whose placement was taken over. */
  readonly strategy: string;
  readonly stepSeconds: number;
  readonly totalSeconds: number;
  readonly totalJoules?: number;
  /** Of the devices it uses, where their power is known. */
  readonly joulesByDevice: Readonly<Record<string, number>>;
  readonly bytesPerStep: number;
  readonly peakMemoryBytes: Readonly<Record<string, number>>;
  /** What must move between devices before it starts. */
  readonly moveBytes: number;
  readonly moveSeconds: number;
  readonly search: 'exact' | 'bounded';
  readonly lowerBoundSeconds: number;
}

/** Lanes run at the same time on devices of their own; a lane's intervals follow each other. */
export interface PlannedWave {
  readonly tasks: readonly string[];
  readonly lanes: readonly { readonly intervals: readonly PlannedInterval[] }[];
  readonly seconds: number;
}

export interface Plan {
  readonly waves: readonly PlannedWave[];
  readonly totalSeconds: number;
  readonly totalJoules?: number;
  readonly totalBytes: number;
  /** No plan is faster; where this one keeps layers whole, no plan that does. */
  readonly lowerBoundSeconds: number;
  /** totalSeconds / lowerBoundSeconds − 1. */
  readonly gap: number;
  readonly search: 'exact' | 'bounded';
  readonly window: number;
  readonly memoryReserve: number;
  /** Present where the devices have modes to choose from or limits to keep. */
  readonly power?: PlannedPower;
  readonly explanation: Explanation;
}

export interface PlannedPower {
  /** The mode of each device; one that is not named runs as its profile says. */
  readonly modes: ChosenModes;
  /** Devices not planned with, because no mode is within their watts or their battery does not last. */
  readonly leftOut: readonly { readonly device: string; readonly reason: 'watts' | 'joules' }[];
  readonly joulesByDevice: Readonly<Record<string, number>>;
  readonly plansCompared: number;
}

/** A plan's intervals, over waves and lanes. */
export const intervalsOfPlan = ({ waves }: Pick<Plan, 'waves'>): PlannedInterval[] =>
  waves.flatMap(({ lanes }) => lanes.flatMap(({ intervals }) => intervals));
