/** The least objective value a placement can have, so that the search need not simulate what cannot win. */
import { computeSeconds } from '../cost/duration.js';
import { joulesOf } from '../cost/energy.js';
import { hasBackward, trains } from '../cost/task-costs.js';
import type { Placement } from '../schedule/placement.js';
import { type IntervalProblem, valueOf } from './interval-problem.js';
import { periodBound } from './period-bound.js';

export function boundValue(problem: IntervalProblem, placement: Placement): number {
  const { steps, objective } = problem;
  const seconds = steps * periodBound(problem, placement).seconds;
  if (seconds === Infinity) return Infinity;
  return valueOf(objective, seconds, objective === 'time' ? 0 : placementJoules(problem, placement, seconds));
}

/** Joules of all steps if they take so many seconds; devices of unknown power count as 0. */
export function placementJoules(
  { costs, steps }: IntervalProblem,
  placement: Placement,
  seconds: number,
): number {
  const shares = costs.sharesOf(placement);
  let joules = 0;
  for (const [stageIndex, stage] of placement.stages.entries())
    for (const [memberIndex, { device, work = 1 }] of stage.members.entries()) {
      const index = costs.deviceIndex(device);
      const at = costs.devices[index]!;
      let busy = 0;
      for (const [taskIndex, name] of placement.tasks.entries()) {
        const task = costs.taskNamed(name);
        const { samples, microbatches } = costs.loadsOf(shares[taskIndex]![stageIndex]!)[memberIndex]!;
        if (microbatches === 0) continue;
        const range = { start: stage.start, end: stage.end, work };
        const launches = (microbatches - 1) * at.overheadSeconds;
        busy += computeSeconds(at, task, 'forward', range, samples) + launches;
        if (hasBackward(task, stage.end))
          busy +=
            computeSeconds(at, task, 'backwardInput', range, samples) +
            launches +
            computeSeconds(at, task, 'backwardWeight', range, samples);
        if (trains(task, stage)) busy += at.overheadSeconds;
      }
      // The seconds are a bound, which may be less than a device computes.
      const busySeconds = busy * steps;
      joules += joulesOf(costs.cluster.devices[index]!, busySeconds, Math.max(seconds, busySeconds)) ?? 0;
    }
  return joules;
}
