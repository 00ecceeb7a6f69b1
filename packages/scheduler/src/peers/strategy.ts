/** What a strategy is: it proposes placements of an interval, one for every setting it would tune; the simulator chooses among them. */
import type { Pass } from '../schedule/passes/pass.js';
import type { Placement } from '../schedule/placement.js';
import type { Policy } from '../schedule/policies/policy.js';
import { assessPlacement } from '../search/assess-placement.js';
import type { Assessment, IntervalProblem } from '../search/interval-problem.js';
import { boundValue } from '../search/period-bound.js';

export interface StrategyCandidate {
  readonly placement: Placement;
  readonly policies: readonly Policy[];
}

export interface Strategy {
  readonly name: string;
  /** Where its rules come from. */
  readonly source: string;
  /** Whether it trains sibling tasks in one pipeline; otherwise one task after the other. */
  readonly interleavesTasks: boolean;
  /** Whether devices share single layers or their parameters, so that what holds for placements of whole layers does not bound it. */
  readonly splitsLayers?: boolean;
  /** What it sends beyond activations and gradients. */
  readonly passes?: readonly Pass[];
  /** @param thorough for a comparison, which can wait, rather than for a plan, which asks often */
  candidates(problem: IntervalProblem, thorough?: boolean): Iterable<StrategyCandidate>;
  /** Placements a user would try next, given the best so far. */
  near?(problem: IntervalProblem, placement: Placement): Iterable<Placement>;
}

export interface TuneStrategyOptions {
  /** Only a candidate with a lower value is of interest. */
  readonly incumbent?: number;
  /** Candidates to simulate at most, most promising first. */
  readonly most?: number;
  /** Whether to try settings that take long to list, and to improve the best one step by step. */
  readonly thorough?: boolean;
}

/** The best of a strategy's candidates if it is better than `incumbent`; undefined when none is. */
export function tuneStrategy(
  strategy: Strategy,
  problem: IntervalProblem,
  { incumbent = Infinity, most = Infinity, thorough = false }: TuneStrategyOptions = {},
): Assessment | undefined {
  const promising = [...strategy.candidates(problem, thorough)]
    .map((candidate) => ({ ...candidate, bound: boundValue(problem, candidate.placement) }))
    .filter(({ bound }) => bound < incumbent)
    .sort((a, b) => a.bound - b.bound);
  let best: Assessment | undefined;
  let simulated = 0;
  const simulate = (placement: Placement, policies: readonly Policy[]) => {
    const assessment = assessPlacement({ ...problem, policies }, placement, strategy.passes);
    if (!assessment) return;
    simulated += 1;
    if (assessment.value < (best?.value ?? incumbent)) best = assessment;
  };
  for (const { placement, policies, bound } of promising) {
    if (bound >= (best?.value ?? incumbent) || simulated >= most) break;
    simulate(placement, policies);
  }
  if (thorough && strategy.near)
    for (let before: Assessment | undefined; best && best !== before;) {
      before = best;
      for (const placement of strategy.near(problem, before.placement))
        if (boundValue(problem, placement) < best.value) simulate(placement, [before.policy]);
    }
  return best;
}
