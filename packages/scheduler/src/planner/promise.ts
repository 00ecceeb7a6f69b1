/** What placements promise by their bounds, before they are simulated. */
import { airSeconds } from '../cost/routes.js';
import { boundaryBytes, gradientCrosses } from '../cost/task-costs.js';
import type { Placement } from '../schedule/placement.js';
import { promisingPlacements } from '../search/bounded-search.js';
import { limits } from '../search/effort.js';
import { type Assessment, type IntervalProblem, valueOf } from '../search/interval-problem.js';
import { periodBound, placementJoules } from '../search/period-bound.js';
import { firstCutOf } from '../search/search-interval.js';

/** The most promising placements as if they kept their promise, best first; `simulatedSteps` is 0. */
export const promises = (problem: IntervalProblem, below: number): Assessment[] =>
  promisingPlacements(problem, firstCutOf(problem), below)
    .slice(0, limits.promises)
    .map(({ placement }) =>
      promised(problem, placement, problem.steps * periodBound(problem, placement).seconds),
    );

function promised(problem: IntervalProblem, placement: Placement, totalSeconds: number): Assessment {
  const { steps, policies, objective } = problem;
  const totalJoules = placementJoules(problem, placement, totalSeconds);
  return {
    placement,
    policy: policies[0]!,
    passes: [],
    value: valueOf(objective, totalSeconds, totalJoules),
    totalSeconds,
    stepSeconds: totalSeconds / steps,
    totalJoules,
    bytesPerStep: 0,
    airSeconds: airOf(problem, placement),
    peakMemoryBytes: {},
    devices: placement.stages.flatMap(({ members }) =>
      members.map(({ device }) => ({
        device,
        busySeconds: 0,
        idleSeconds: { activation: 0, gradient: 0, backpressure: 0, collective: 0, finished: 0, lost: 0 },
        idleFraction: 0,
        peakMemoryBytes: 0,
        sentBytes: 0,
      })),
    ),
    simulatedSteps: 0,
  };
}

function airOf({ costs }: IntervalProblem, { tasks, stages }: Placement): number[] {
  const seconds = costs.routes.media.map(() => 0);
  for (const [index, { end, members }] of stages.slice(0, -1).entries()) {
    const [from, to] = [members[0]!, stages[index + 1]!.members[0]!];
    const route = costs.routes.route(costs.deviceIndex(from.device), costs.deviceIndex(to.device));
    if (!route || route.medium < 0) continue;
    for (const task of tasks.map(costs.taskNamed)) {
      const messages = gradientCrosses(task, end) ? 2 : 1;
      seconds[route.medium]! += airSeconds(route, messages * task.samples * boundaryBytes(task, end));
    }
  }
  return seconds;
}
