/** What a strategy is: a way to place a segment's work, with every setting it would tune. The simulator judges. */
import type { Pass } from '../build-schedule.js';
import type { Placement } from '../placement.js';
import type { Policy } from '../policies/policy.js';
import { assessPlacement } from '../search/assess-placement.js';
import { boundValue } from '../search/bound-value.js';
import type { Assessment, SegmentProblem } from '../search/segment-problem.js';

export interface StrategyCandidate {
  readonly placement: Placement;
  readonly policies: readonly Policy[];
  readonly passes?: readonly Pass[];
}

export interface Strategy {
  readonly name: string;
  /** Where its rules were read. */
  readonly source: string;
  /** Whether it trains sibling tasks in one pipeline; otherwise one task after the other. */
  readonly interleavesTasks: boolean;
  candidates(problem: SegmentProblem): Iterable<StrategyCandidate>;
}

/** The best of a strategy's candidates that is better than `incumbent`; without one the best of all. Undefined when none is. */
export function tuneStrategy(
  strategy: Strategy,
  problem: SegmentProblem,
  incumbent = Infinity,
): Assessment | undefined {
  let best: Assessment | undefined;
  for (const { placement, policies, passes = [] } of strategy.candidates(problem)) {
    const mark = best?.value ?? incumbent;
    if (boundValue(problem, placement) >= mark) continue;
    const assessment = assessPlacement({ ...problem, policies }, placement, passes);
    if (assessment && assessment.value < mark) best = assessment;
  }
  return best;
}
