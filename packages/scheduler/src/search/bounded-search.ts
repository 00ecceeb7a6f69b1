/**
 * Search for many devices: placements of least bottleneck for a few orders of the devices, the most promising of them simulated, and the
 * best improved by small changes until none helps or the budget is spent.
 */
import { fitsMemory } from '../cost/memory.js';
import type { Placement, Stage } from '../schedule/placement.js';
import { assessPlacement, estimatePlacement } from './assess-placement.js';
import { bottleneckPlacements } from './bottleneck-search.js';
import { boundValue } from './period-bound.js';
import { devicesBy, deviceWork } from './device-work.js';
import { effortFor, limits } from './effort.js';
import { neighboursOf } from './neighbours.js';
import { type Assessment, type IntervalProblem, placementOn } from './interval-problem.js';
import { stageOn } from './share-samples.js';

/** A placement with its bound or its estimate. */
interface Valued {
  readonly placement: Placement;
  readonly value: number;
}

interface BoundedSearchResult {
  /** Best first, all different. */
  readonly found: readonly Assessment[];
  readonly simulated: number;
}

interface BoundedSearchOptions {
  readonly firstCut?: number;
  /** Instructions to simulate in all, roughly: what the search may cost. */
  readonly budget?: number;
  /** Further placements to consider. */
  readonly seeds?: readonly Placement[];
  /** Placements that are bound to cost as much are left out. */
  readonly below?: number;
}

export function boundedSearch(
  problem: IntervalProblem,
  { firstCut = 1, budget = limits.budget, seeds = [], below = Infinity }: BoundedSearchOptions = {},
): BoundedSearchResult {
  const { assessedLeast, closeToBound } = effortFor(problem.costs.devices.length);
  const ranked = rank(problem, [...seeds, ...candidates(problem, firstCut)], below);
  const estimates: Valued[] = [];
  let left = budget;
  let best = undefined as Valued | undefined;
  /** Estimates a placement; true when it is the best so far. */
  const improves = (placement: Placement): boolean => {
    left -= instructionsOf(problem, placement);
    const value = estimatePlacement(problem, placement) ?? Infinity;
    if (!(value < Infinity)) return false;
    estimates.push({ placement, value });
    if (best && best.value <= value) return false;
    best = { placement, value };
    return true;
  };
  for (const { placement, value: bound } of ranked) {
    if (best && (bound * closeToBound >= best.value || left < budget * limits.budgetForImproving)) break;
    improves(placement);
  }
  if (!best) {
    // Where memory is tight, fewer micro-batches in flight may still fit.
    const shallow = candidates(problem, firstCut, { inFlight: () => 1 });
    for (const { placement } of rank(problem, shallow, below)) {
      improves(placement);
      if (estimates.length > 0 && left < 0) break;
    }
  }
  const tried = new Set(ranked.map(({ placement }) => keyOf(placement)));
  improving: while (best && left > 0) {
    for (const neighbour of neighboursOf(problem, best.placement, firstCut)) {
      if (left <= 0) break improving;
      const key = keyOf(neighbour);
      if (tried.has(key)) continue;
      tried.add(key);
      // Bounds are not free either.
      left -= instructionsOf(problem, neighbour) / limits.boundsPerEstimate;
      if (boundValue(problem, neighbour) * closeToBound < best.value && improves(neighbour))
        continue improving;
    }
    break;
  }
  // The simulator has the last word on the best few, and on the seeds, which an estimate may misjudge.
  estimates.sort((a, b) => a.value - b.value);
  const found: Assessment[] = [];
  for (const placement of seeds) {
    const assessment = assessPlacement(problem, placement);
    if (assessment) found.push(assessment);
  }
  const seedKeys = new Set(seeds.map(keyOf));
  let assessing = budget * limits.budgetForAssessing;
  for (const { placement } of estimates) {
    if (found.length >= assessedLeast && assessing < 0) break;
    if (seedKeys.has(keyOf(placement))) continue;
    assessing -= 2 * problem.policies.length * instructionsOf(problem, placement);
    const assessment = assessPlacement(problem, placement);
    if (assessment) found.push(assessment);
  }
  found.sort((a, b) => a.value - b.value);
  return { found, simulated: estimates.length + found.length };
}

/** Placements of a few candidates and their bounds, without a simulation; the most promising first. */
export function promisingPlacements(problem: IntervalProblem, firstCut: number, below: number): Valued[] {
  return rank(problem, candidates(problem, firstCut, { brief: true }), below).filter(({ placement }) =>
    fitsMemory(problem.costs, placement, problem.window),
  );
}

/** Candidates with a bound below the mark, most promising first. */
function rank(problem: IntervalProblem, placements: readonly Placement[], below: number): Valued[] {
  const seen = new Set<string>();
  const isNew = (key: string) => !seen.has(key) && seen.add(key);
  return placements
    .filter((placement) => isNew(keyOf(placement)))
    .map((placement) => ({ placement, value: boundValue(problem, placement) }))
    .filter(({ value }) => value < below)
    .sort((a, b) => a.value - b.value);
}

function candidates(
  problem: IntervalProblem,
  firstCut: number,
  {
    brief = false,
    inFlight = (distance) => distance + 1,
  }: { readonly brief?: boolean; readonly inFlight?: (distance: number) => number } = {},
): Placement[] {
  const { costs } = problem;
  const work = deviceWork(problem);
  const count = costs.devices.length;
  const by = (of: (device: number) => number) => devicesBy(costs, of);
  const memory = (device: number) => costs.devices[device]!.memoryBytes;
  const speed = (device: number) => work.average[device]!;
  const { startOrders, startGroups, groupedStages } = effortFor(count);
  const orders = [
    () => by(speed),
    () => by((device) => -speed(device)),
    () => by(memory),
    () => nearestFirst(problem),
    () => by((device) => memory(device) / speed(device)),
    () => by((device) => speed(device) / memory(device)),
  ];
  const most = Math.min(problem.groupLimit, count);
  const groupLimits = {
    'few and many': [1, Math.min(3, most), most],
    many: [1, most],
    'up to 8': [Math.min(8, most)],
  }[startGroups];
  const finest = Math.max(...problem.microbatches);
  // Single devices are sets of their own.
  const placements = brief ? [] : costs.devices.map(({ id }) => placementOn(problem, id, finest));
  for (const order of orders.slice(0, brief ? 1 : startOrders).map((make) => make()))
    for (const groupLimit of new Set(brief ? [most] : groupLimits))
      placements.push(
        ...bottleneckPlacements(problem, work, order, {
          microbatches: finest,
          groupLimit,
          // A stage for each device pays where sibling tasks leave no bubble.
          stageLimit: groupLimit === 1 ? count : groupedStages,
          inFlight: (distance) => Math.min(finest, inFlight(distance)),
          blocks: brief ? limits.briefBlocks : limits.blocks,
          firstCut,
        }),
      );
  // The cut hardly depends on the number of micro-batches, which the bound then chooses; what fits into memory does.
  const divisions = brief ? problem.microbatches.slice(-limits.briefDivisions) : problem.microbatches;
  return placements.flatMap((placement) =>
    divisions.flatMap((microbatches) => withMicrobatches(problem, placement, microbatches) ?? []),
  );
}

/** The same groups and cuts, with the samples shared for another number of micro-batches. */
function withMicrobatches(
  problem: IntervalProblem,
  placement: Placement,
  microbatches: number,
): Placement | undefined {
  const stages: Stage[] = [];
  for (const stage of placement.stages) {
    const group = stage.members.map(({ device }) => problem.costs.deviceIndex(device));
    const shared = stageOn(problem, stage, group, microbatches);
    if (!shared) return undefined;
    stages.push(shared);
  }
  return { ...placement, microbatches, stages };
}

/** Each device followed by the one it reaches fastest, from the fastest device on. */
function nearestFirst({ costs }: IntervalProblem): number[] {
  const left = new Set(costs.devices.keys());
  const order: number[] = [];
  for (let rate = (device: number) => costs.devices[device]!.forwardRate; left.size > 0;) {
    const next = [...left].reduce((a, b) => (rate(b) > rate(a) ? b : a));
    order.push(next);
    left.delete(next);
    rate = (to) => costs.routes.route(next, to)?.bytesPerSecond ?? 0;
  }
  return order;
}

/** Instructions to simulate for a placement, roughly. */
export const instructionsOf = (
  problem: IntervalProblem,
  { stages, microbatches, tasks }: Placement,
): number => {
  const steps = tasks.length === 1 ? 1 : limits.estimatedSteps;
  const members = stages.reduce((sum, stage) => sum + stage.members.length, 0);
  return limits.instructionsEach * members * microbatches * tasks.length * steps;
};

export const keyOf = ({ microbatches, stages }: Placement): string =>
  `${microbatches}|${stages.map(({ end, members }) => `${end}:${members.map(({ device }) => device).join('+')}`).join('|')}`;
