/** What a caller may ask of the planner. */
import type { Strategy } from '../peers/strategy.js';
import {
  aboveZero,
  atLeastZero,
  type Check,
  checkFields,
  flag,
  inputLimits,
  listOf,
  show,
  wholeNumber,
  within,
} from '../problem/check-values.js';
import { requireOptions } from '../problem/check-options.js';
import type { Cluster } from '../problem/cluster.js';
import type { Workload } from '../problem/workload.js';
import type { Objective } from '../search/interval-problem.js';

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

export const wholeAboveZero = wholeNumber(1, Number.MAX_SAFE_INTEGER);

/** @throws SchedulerError that lists every option that is unknown or makes no sense. */
export function checkOptions(
  options: unknown,
  workloads: readonly Workload[],
  { devices }: Cluster,
): asserts options is PlanOptions {
  const most = workloads.reduce((least, { samples }) => Math.max(least, samples), 1);
  requireOptions(options, 'plan', {
    objective: checkObjective,
    microbatches(counts, path, note) {
      listOf(wholeAboveZero, inputLimits.samples)(counts, path, note);
      if (!Array.isArray(counts)) return;
      for (const [index, count] of (counts as number[]).entries())
        if (count > most) note(`${path}[${index}]`, `is ${count}, but no step has more than ${most} samples`);
      if (counts.length === 0) note(path, 'is empty; give at least one number');
      const least = (counts as number[]).reduce((a, b) => Math.min(a, b), Infinity);
      for (const { name, samples } of workloads)
        if (least > samples && least <= most)
          note(path, `has no number that is possible for "${name}", which has ${samples} samples in a step`);
    },
    groupLimit: wholeAboveZero,
    memoryReserve: within('at least 0 and below 1', (share) => share >= 0 && share < 1),
    window: wholeAboveZero,
    siblings: flag,
    cache: flag,
    peers: listOf(checkPeer, inputLimits.workloads),
    joulesLimit(joules, path, note) {
      aboveZero(joules, path, note);
      for (const [index, { watts, modes = [] }] of devices.entries())
        if (watts === undefined && (modes.length === 0 || modes.some((mode) => mode.watts === undefined)))
          note(
            `devices[${index}].watts`,
            'is missing, but options.joulesLimit counts the energy of all devices; say what it draws',
          );
    },
    budget: within('a number above 0', (budget) => budget > 0),
    exactDevices: wholeNumber(0, inputLimits.exactDevices),
    exactLayers: wholeNumber(0, inputLimits.layers),
  } satisfies Record<keyof PlanOptions, Check>);
}

const checkObjective: Check = (objective, path, note) => {
  if (objective === 'time' || objective === 'energy') return;
  if (typeof objective !== 'object' || objective === null) {
    note(path, `must be "time", "energy" or weights, got ${show(objective)}`);
    return;
  }
  checkFields(objective, path, { required: { secondsWeight: atLeastZero, joulesWeight: atLeastZero } }, note);
  const { secondsWeight, joulesWeight } = objective as Record<string, unknown>;
  if (secondsWeight === 0 && joulesWeight === 0) note(path, 'must have a weight above 0');
};

export const checkPeer: Check = (peer, path, note) => {
  if (typeof (peer as Partial<Strategy> | null)?.candidates !== 'function')
    note(path, `must be a strategy, got ${show(peer)}`);
};
