/** What less energy costs in time: plans of which none is both faster and more frugal than another. */
import type { Cluster } from '../problem/cluster.js';
import { SchedulerError } from '../scheduler-error.js';
import type { Objective } from '../search/interval-problem.js';
import type { Workload } from '../problem/workload.js';
import { plan } from './plan.js';
import type { Plan } from './planned.js';
import type { PlanOptions } from './plan-options.js';

export interface FrontPoint {
  readonly objective: Objective;
  readonly totalSeconds: number;
  readonly totalJoules: number;
  readonly plan: Plan;
}

/** What a joule weighs against a second; at 1 the fastest plan's joules and seconds count the same. */
const factors = [1 / 16, 1 / 4, 1, 4, 16];

/**
 * Plans for time, for energy, and for weighted sums between them; fastest first. Points that no weighted sum prefers are not found.
 *
 * @throws SchedulerError as `plan` does, and when no device says what power it draws.
 */
export function timeEnergyFront(
  workloads: readonly Workload[],
  cluster: Cluster,
  options: Omit<PlanOptions, 'objective'> = {},
): FrontPoint[] {
  const pointOf = (objective: Objective): FrontPoint => {
    const found = plan(workloads, cluster, { ...options, objective });
    if (found.totalJoules === undefined)
      throw new SchedulerError(
        'SCHEDULER_INPUT_INVALID',
        'timeEnergyFront',
        'no device says what power it draws ("watts")',
      );
    return { objective, totalSeconds: found.totalSeconds, totalJoules: found.totalJoules, plan: found };
  };
  const fastest = pointOf('time');
  const points = [
    fastest,
    ...factors.map((factor) =>
      pointOf({ secondsWeight: 1, joulesWeight: (factor * fastest.totalSeconds) / fastest.totalJoules }),
    ),
    pointOf('energy'),
  ].sort((a, b) => a.totalSeconds - b.totalSeconds || a.totalJoules - b.totalJoules);
  const front: FrontPoint[] = [];
  for (const point of points)
    if (point.totalJoules < (front.at(-1)?.totalJoules ?? Infinity)) front.push(point);
  return front;
}
