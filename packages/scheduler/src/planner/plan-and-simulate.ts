/** A plan with the schedule and the timeline of its first steps, for charts and traces. */
import type { Schedule } from '../schedule/schedule.js';
import type { Cluster } from '../problem/cluster.js';
import { requireOptions } from '../problem/check-options.js';
import { anything, type Check } from '../problem/check-values.js';
import { plan } from './plan.js';
import { wholeAboveZero } from './plan-options.js';
import { intervalsOfPlan, type Plan } from './planned.js';
import { clusterInModes } from '../problem/power-modes.js';
import { scheduleOf } from './schedule-of.js';
import type { Objective } from '../search/interval-problem.js';
import { simulate } from '../simulate/simulate.js';
import type { Timeline } from '../simulate/timeline.js';
import type { Workload } from '../problem/workload.js';

export interface SimulatedPlan {
  readonly plan: Plan;
  readonly schedule: Schedule;
  readonly timeline: Timeline;
}

export interface PlanAndSimulateOptions {
  readonly objective?: Objective;
  readonly joulesLimit?: number | undefined;
  /** Steps of the longest interval to simulate. */
  readonly steps?: number;
}

/**
 * Plans, and simulates the first steps of the longest interval.
 *
 * @throws SchedulerError as `plan` does, and for options that are unknown or make no sense.
 */
export function planAndSimulate(
  workloads: readonly Workload[],
  cluster: Cluster,
  options: PlanAndSimulateOptions = {},
): SimulatedPlan {
  requireOptions(options, 'planAndSimulate', {
    // The planner checks these.
    objective: anything,
    joulesLimit: anything,
    steps: wholeAboveZero,
  } satisfies Record<keyof PlanAndSimulateOptions, Check>);
  const { objective = 'time', joulesLimit, steps = 2 } = options;
  const found = plan(workloads, cluster, {
    objective,
    ...(joulesLimit === undefined ? {} : { joulesLimit }),
  });
  const intervals = intervalsOfPlan(found);
  const interval = intervals.reduce(
    (a, one, b) => (one.totalSeconds > intervals[a]!.totalSeconds ? b : a),
    0,
  );
  const { schedule, workloads: active } = scheduleOf(found, workloads, cluster, { interval, steps });
  const timeline = simulate(schedule, active, clusterInModes(cluster, found.power?.modes ?? {}));
  return { plan: found, schedule, timeline };
}
