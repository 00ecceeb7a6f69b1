/** A plan: plain values, to be written to a file, inspected and read back. Times are in seconds from the start of the run. */
import type { ChosenModes } from '../problem/power-modes.js';
import type { Placement } from '../schedule/placement.js';
import type { Explanation } from './explain.js';

/** Bytes that move between two devices before, between or after the intervals of a job. */
export interface PlannedTransfer {
  readonly type: 'fetch' | 'collect';
  /** Base layers, trained segments (of ancestors, or of the job with its optimizer state when a cut changes), or cached activations. */
  readonly what: 'base' | 'segment' | 'cache';
  /** Whose segments or caches. */
  readonly tasks: readonly string[];
  readonly from: string;
  readonly to: string;
  readonly bytes: number;
  readonly startSeconds: number;
  readonly endSeconds: number;
}

/** Forward passes without training: a parent answers its child's prompts, or a task its validation rows. */
export interface PlannedAnswer {
  readonly type: 'answer';
  /** Whose segments answer. */
  readonly task: string;
  readonly reason: 'prompts' | 'validation';
  readonly devices: readonly string[];
  readonly samples: number;
  readonly startSeconds: number;
  readonly endSeconds: number;
}

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
  /** Alone on the network. */
  readonly stepSeconds: number;
  /** Alone on the network; between `startSeconds` and `endSeconds` more may pass where other jobs use the same air. */
  readonly totalSeconds: number;
  readonly totalJoules?: number;
  /** Of the devices it uses, where their power is known. */
  readonly joulesByDevice: Readonly<Record<string, number>>;
  readonly bytesPerStep: number;
  readonly peakMemoryBytes: Readonly<Record<string, number>>;
  readonly search: 'exact' | 'bounded';
  readonly lowerBoundSeconds: number;
  readonly startSeconds: number;
  readonly endSeconds: number;
}

/** The training of one task, or of siblings in one pipeline, on devices that nothing else uses meanwhile. */
export interface PlannedJob {
  readonly tasks: readonly string[];
  /** In the order of the layers. */
  readonly devices: readonly string[];
  /** When its devices begin; segments of ancestors may be fetched before. */
  readonly startSeconds: number;
  /** When its devices are free again; `collects` may end later. */
  readonly endSeconds: number;
  readonly fetches: readonly PlannedTransfer[];
  readonly answers: readonly PlannedAnswer[];
  readonly intervals: readonly PlannedInterval[];
  readonly collects: readonly PlannedTransfer[];
}

export interface Plan {
  /** In the order of their starts. */
  readonly jobs: readonly PlannedJob[];
  /** Until the last job and the last transfer have ended. */
  readonly totalSeconds: number;
  readonly totalJoules?: number;
  readonly totalBytes: number;
  /** No plan is faster; where this one keeps layers whole, no plan that does. */
  readonly lowerBoundSeconds: number;
  /** totalSeconds / lowerBoundSeconds − 1. */
  readonly gap: number;
  /** `exact` where every placement, every lane and every order of the jobs was covered or bounded away. */
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

/** A plan's intervals, job by job. */
export const intervalsOfPlan = ({ jobs }: Pick<Plan, 'jobs'>): PlannedInterval[] =>
  jobs.flatMap(({ intervals }) => intervals);
