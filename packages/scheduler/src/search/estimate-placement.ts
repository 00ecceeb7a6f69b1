/** A quicker, slightly rougher `assessPlacement` for local search, by the list scheduler's clock instead of the simulator's. */
import { fitsMemory } from '../cost/memory.js';
import type { Placement } from '../schedule/placement.js';
import { playPipeline } from '../schedule/policies/list-scheduling.js';
import { extrapolate, stepsToSimulate } from './assess-placement.js';
import { placementJoules } from './bound-value.js';
import { periodBound } from './period-bound.js';
import { type IntervalProblem, valueOf } from './interval-problem.js';

/** The objective's value with the deep order; undefined when the placement does not fit into memory. */
export function estimatePlacement(problem: IntervalProblem, placement: Placement): number | undefined {
  const { costs, window, objective } = problem;
  if (!fitsMemory(costs, placement, window)) return undefined;
  const bound = periodBound(problem, placement);
  if (bound.seconds === Infinity) return undefined;
  const played = playPipeline(
    {
      costs,
      placement,
      sampleShares: costs.sharesOf(placement),
      steps: stepsToSimulate(problem, placement),
      window,
    },
    { inFlight: (distance) => 2 * distance + 1, fusedBackward: false },
  );
  const { totalSeconds } = extrapolate(problem, played.makespanSeconds, played.stepEndSeconds, bound.seconds);
  return valueOf(
    objective,
    totalSeconds,
    objective === 'time' ? 0 : placementJoules(problem, placement, totalSeconds),
  );
}
