/** The best placement of an interval: by bounded search, polished, and where it can be covered by exact search; the answer says which. */
import { ownValue } from '../problem/names.js';
import type { Placement } from '../schedule/placement.js';
import { boundedSearch, instructionsOf } from './bounded-search.js';
import { limits } from './effort.js';
import { coarseSearch, exactSearch } from './exact-search.js';
import type { Assessment, IntervalProblem } from './interval-problem.js';
import { polish } from './polish.js';

export interface IntervalSearch {
  /** Best first, all different; empty when nothing fits. */
  readonly found: readonly Assessment[];
  readonly search: 'exact' | 'bounded';
  readonly simulated: number;
}

export interface SearchIntervalOptions {
  /** Most devices and layers for the exact search. */
  readonly exactDevices?: number;
  readonly exactLayers?: number;
  readonly budget?: number;
  readonly seeds?: readonly Placement[];
  /** Only placements of less value are of interest; others may be left out. */
  readonly below?: number;
}

export function searchInterval(
  problem: IntervalProblem,
  {
    exactDevices = limits.exactDevices,
    exactLayers = limits.exactLayers,
    budget = limits.budget,
    seeds = [],
    below = Infinity,
  }: SearchIntervalOptions = {},
): IntervalSearch {
  const { costs } = problem;
  const firstCut = firstCutOf(problem);
  const exact = costs.devices.length <= exactDevices && costs.layerCount <= exactLayers;
  const bounded = boundedSearch(problem, {
    firstCut,
    budget: exact ? budget * limits.budgetBeforeExact : budget,
    seeds,
    below,
  });
  let left = budget * limits.budgetForPolishing;
  let { simulated } = bounded;
  const spend = (placement: Placement) => {
    left -= 2 * instructionsOf(problem, placement);
    simulated += 1;
    return left > 0;
  };
  const [first] = bounded.found;
  const coarse = exact ? coarseSearch(problem, { incumbent: first, firstCut, below }) : undefined;
  const start = coarse?.best ?? first;
  // What is far from the mark stays so.
  const worthIt = start && start.value < below * limits.polishedAbove;
  const polished = worthIt ? polish(problem, start, { firstCut, spend }) : start;
  // Beyond a few devices it seldom ends, so little is spent on finding out.
  const part = costs.devices.length > limits.fewDevices ? limits.exactPartOfMany : 1;
  const covered = exact
    ? exactSearch(problem, {
        incumbent: polished,
        firstCut,
        below,
        mostBounds: part * limits.exactBounds,
        mostSimulations: part * limits.exactSimulations,
      })
    : undefined;
  const best = covered?.best ?? polished;
  return {
    found: best && best !== first ? [best, ...bounded.found] : bounded.found,
    search: covered?.complete ? 'exact' : 'bounded',
    simulated: simulated + (coarse?.simulated ?? 0) + (covered?.simulated ?? 0),
  };
}

/** The lowest layer at which a cut may lie: layers whose outputs come from a cache are not run anywhere. */
export function firstCutOf({ costs, cache, tasks }: IntervalProblem): number {
  const cached = tasks.filter((name) => ownValue(cache, name) === 'read');
  return cached.length === tasks.length
    ? 1 + Math.min(...cached.map((name) => costs.taskNamed(name).lowestTrained))
    : 1;
}
