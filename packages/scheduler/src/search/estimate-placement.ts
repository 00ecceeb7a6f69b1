/** A quicker, slightly rougher `assessPlacement` for local search: the list scheduler's own clock instead of the simulator's. */
import type { Placement } from '../schedule/placement.js';
import { playPipeline } from '../schedule/policies/list-scheduling.js';
import { extrapolate, fitsMemory, stepsToSimulate } from './assess-placement.js';
import { joulesOf } from './bound-value.js';
import { periodBound } from './period-bound.js';
import { type SegmentProblem, valueOf } from './interval-problem.js';

/** The objective's value with the deep order; undefined when the placement does not fit into memory. */
export function estimatePlacement(problem: SegmentProblem, placement: Placement): number | undefined {
  if (!fitsMemory(problem, placement)) return undefined;
  const bound = periodBound(problem, placement);
  if (bound.seconds === Infinity) return undefined;
  const { costs, window, objective } = problem;
  const played = playPipeline(
    { costs, placement, deal: costs.dealOf(placement), steps: stepsToSimulate(problem, placement), window },
    { inFlight: (distance) => 2 * distance + 1, fusedBackward: false },
  );
  const { totalSeconds } = extrapolate(problem, played.makespanSeconds, played.stepEndSeconds, bound.seconds);
  return valueOf(
    objective,
    totalSeconds,
    objective === 'time' ? 0 : joulesOf(problem, placement, totalSeconds),
  );
}
