/** The least objective value a placement can have, so that the search need not simulate what cannot win. */
import { computeSeconds, hasBackward } from '../cost/cost-model.js';
import type { Placement } from '../schedule/placement.js';
import { trains } from '../schedule/policies/policy.js';
import { periodBound } from './period-bound.js';
import { type SegmentProblem, valueOf } from './interval-problem.js';

export function boundValue(problem: SegmentProblem, placement: Placement): number {
  const { rounds, objective } = problem;
  const seconds = rounds * periodBound(problem, placement).seconds;
  if (seconds === Infinity) return Infinity;
  return valueOf(objective, seconds, objective === 'time' ? 0 : joulesOf(problem, placement, seconds));
}

/** Of all rounds if they take so many seconds; devices of unknown power count as 0. */
export function joulesOf({ costs, rounds }: SegmentProblem, placement: Placement, seconds: number): number {
  const deal = costs.dealOf(placement);
  let joules = 0;
  for (const [s, { start, end, members }] of placement.stages.entries())
    for (const [m, { device, work = 1 }] of members.entries()) {
      const index = costs.deviceIndex(device);
      const { watts, idleWatts = 0 } = costs.cluster.devices[index]!;
      if (watts === undefined) continue;
      const at = costs.devices[index]!;
      let busy = 0;
      for (const [t, name] of placement.tasks.entries()) {
        const task = costs.tasks[costs.taskIndex(name)]!;
        const { samples, microbatches } = costs.loadsOf(deal[t]![s]!)[m]!;
        if (microbatches === 0) continue;
        const all = (kind: 'forward' | 'backwardInput' | 'backwardWeight') =>
          computeSeconds(at, task, kind, { start, end, work }, samples) +
          (kind === 'backwardWeight' ? 0 : (microbatches - 1) * at.overheadSeconds);
        busy += all('forward');
        if (hasBackward(task, end)) busy += all('backwardInput') + all('backwardWeight');
        if (trains(task, { start, end })) busy += at.overheadSeconds;
      }
      joules += watts * busy * rounds + idleWatts * Math.max(0, seconds - busy * rounds);
    }
  return joules;
}
