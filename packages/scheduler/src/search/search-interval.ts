/** The best placement of an interval: by exact search for few devices, else by bounded search; the answer says which. */
import { ownValue } from '../problem/names.js';
import type { Placement } from '../schedule/placement.js';
import { boundedSearch } from './bounded-search.js';
import { limits } from './effort.js';
import { exactSearch } from './exact-search.js';
import type { Assessment, IntervalProblem } from './interval-problem.js';

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
  if (!exact) return { ...bounded, search: 'bounded' };
  const { best, simulated } = exactSearch(problem, { incumbent: bounded.found[0], firstCut, below });
  const found = best && best !== bounded.found[0] ? [best, ...bounded.found] : bounded.found;
  return { found, search: 'exact', simulated: bounded.simulated + simulated };
}

/** The lowest layer at which a cut may lie: layers whose outputs come from a cache are not run anywhere. */
export function firstCutOf({ costs, cache, tasks }: IntervalProblem): number {
  const cached = tasks.filter((name) => ownValue(cache, name) === 'read');
  return cached.length === tasks.length
    ? 1 + Math.min(...cached.map((name) => costs.taskNamed(name).lowestTrained))
    : 1;
}
