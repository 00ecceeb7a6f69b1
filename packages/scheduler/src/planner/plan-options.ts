/** What a caller may ask of the planner. */
import type { Strategy } from '../peers/strategy.js';
import type { Cluster } from '../problem/cluster.js';
import { type InputProblem, problemsError } from '../scheduler-error.js';
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

const objectives: readonly unknown[] = ['time', 'energy'];

/** @throws SchedulerError that lists every option that makes no sense. */
export function checkOptions(options: PlanOptions, { devices }: Cluster): void {
  const problems: InputProblem[] = [];
  const must = (holds: boolean, name: string, rule: string, got: unknown) => {
    if (!holds) problems.push({ path: `options.${name}`, message: `must be ${rule}, got ${String(got)}` });
  };
  const {
    objective = 'time',
    microbatches,
    groupLimit,
    memoryReserve,
    window,
    budget,
    joulesLimit,
  } = options;
  if (typeof objective === 'object') {
    const { secondsWeight, joulesWeight } = objective;
    for (const [name, weight] of Object.entries({ secondsWeight, joulesWeight }))
      must(weight >= 0 && weight < Infinity, `objective.${name}`, 'a finite number, 0 or more', weight);
    must(secondsWeight + joulesWeight > 0, 'objective', 'a weighted sum with a weight above 0', 'none');
  } else must(objectives.includes(objective), 'objective', '"time", "energy" or weights', objective);
  if (microbatches !== undefined) {
    must(microbatches.length > 0, 'microbatches', 'a list with at least one number', 'none');
    for (const [index, count] of microbatches.entries())
      must(
        Number.isSafeInteger(count) && count >= 1,
        `microbatches[${index}]`,
        'a whole number, 1 or more',
        count,
      );
  }
  for (const [name, value] of Object.entries({ groupLimit, window }))
    if (value !== undefined)
      must(Number.isSafeInteger(value) && value >= 1, name, 'a whole number, 1 or more', value);
  if (memoryReserve !== undefined)
    must(memoryReserve >= 0 && memoryReserve < 1, 'memoryReserve', 'at least 0 and below 1', memoryReserve);
  if (joulesLimit !== undefined)
    must(joulesLimit > 0 && joulesLimit < Infinity, 'joulesLimit', 'a finite number above 0', joulesLimit);
  if (joulesLimit !== undefined)
    for (const [index, { watts, modes = [] }] of devices.entries())
      if (watts === undefined && (modes.length === 0 || modes.some((mode) => mode.watts === undefined)))
        problems.push({
          path: `devices[${index}].watts`,
          message: 'is missing, but options.joulesLimit counts the energy of all devices; say what it draws',
        });
  if (budget !== undefined) must(budget > 0, 'budget', 'a number above 0', budget);
  if (problems.length > 0) throw problemsError('SCHEDULER_INPUT_INVALID', 'plan', problems);
}
