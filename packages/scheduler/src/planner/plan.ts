/**
 * The planner: from workloads and a cluster to waves of tasks with placements, policies, a prediction, a lower bound and an explanation.
 */
import { checkInput } from '../problem/check-input.js';
import type { Cluster } from '../problem/cluster.js';
import type { Placement } from '../schedule/placement.js';
import type { Strategy } from '../peers/strategy.js';
import type { Objective } from '../search/interval-problem.js';
import type { Workload } from '../problem/workload.js';
import { checkOptions } from './check-options.js';
import type { Explanation } from './explain.js';
import { planCluster } from './plan-cluster.js';
import { type PlannedPower, planWithPower } from './plan-with-power.js';
import { hasPowerChoices } from './power-settings.js';

export interface PlanOptions {
  readonly objective?: Objective;
  /** Numbers of micro-batches to consider; by default powers of two up to the samples of a step, 64 at most (16 for more than 64 devices). */
  readonly microbatches?: readonly number[];
  /** Devices of one stage at most. */
  readonly groupLimit?: number;
  /** Share of every device's memory to leave free. */
  readonly memoryReserve?: number;
  /** Messages a sender may have under way, and a receiver may hold unread, per channel. */
  readonly window?: number;
  /** Whether sibling tasks may train at the same time, in one pipeline or on devices of their own. */
  readonly siblings?: boolean;
  /** Whether the cut may change between intervals. */
  readonly recut?: boolean;
  /** Whether frozen prefixes may be cached after the first epoch. */
  readonly cache?: boolean;
  /** Other strategies, than which the plan is to be no worse; a better placement of theirs is taken over and named. */
  readonly peers?: readonly Strategy[];
  /** Most energy of all devices together, over the whole training. */
  readonly joulesLimit?: number;
  /** What the bounded search may simulate, in instructions. */
  readonly budget?: number;
  /** Most devices and layers of the exact search. */
  readonly exactDevices?: number;
  readonly exactLayers?: number;
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

/**
 * Plans the training of all workloads.
 *
 * @throws SchedulerError that lists everything wrong with the input, or says by how many bytes the model does not fit and what would help,
 * or by how many joules the most frugal plan found exceeds a limit.
 */
export function plan(workloads: readonly Workload[], cluster: Cluster, options: PlanOptions = {}): Plan {
  checkInput(workloads, cluster);
  checkOptions(options, cluster);
  return hasPowerChoices(cluster, options.joulesLimit)
    ? planWithPower(workloads, cluster, options)
    : planCluster(workloads, cluster, options);
}
