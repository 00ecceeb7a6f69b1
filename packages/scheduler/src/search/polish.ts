/** The last step of a search: small changes that its candidates do not have, each simulated, until none helps or the budget is spent. */
import { hasBackward } from '../cost/task-costs.js';
import type { Member, Placement } from '../schedule/placement.js';
import { contextGearAlternating, contextGearAt } from '../schedule/policies/context-gear.js';
import type { Policy } from '../schedule/policies/policy.js';
import { assessPlacement } from './assess-placement.js';
import { divisionsOf } from './exact-search.js';
import type { Assessment, IntervalProblem } from './interval-problem.js';
import { neighboursOf } from './neighbours.js';
import { boundValue } from './period-bound.js';

/** @param spend is told of every placement before it is simulated; false stops */
export function polish(
  problem: IntervalProblem,
  start: Assessment,
  { firstCut, spend }: { firstCut: number; spend: (placement: Placement) => boolean },
): Assessment {
  let best = start;
  let depths: Depths | undefined;
  const tryIt = (placement: Placement, policies: readonly Policy[]): boolean => {
    const found = assessPlacement({ ...problem, policies }, placement);
    if (!found || found.value >= best.value * (1 - 1e-12)) return false;
    best = found;
    return true;
  };
  for (let improved = true; improved;) {
    improved = false;
    for (const next of depthsNear(problem, best.placement, depths)) {
      if (!spend(best.placement)) return best;
      if (!tryIt(best.placement, [next.policyAt(next.depths)])) continue;
      depths = next;
      improved = true;
    }
    for (const placement of placementsNear(problem, best.placement, firstCut)) {
      if (boundValue(problem, placement) >= best.value) continue;
      if (!spend(placement)) return best;
      const sameLength = placement.stages.length === best.placement.stages.length;
      const policies = new Set([...(sameLength ? [best.policy] : []), ...problem.policies]);
      if (!tryIt(placement, [...policies])) continue;
      if (!sameLength || problem.policies.includes(best.policy)) depths = undefined;
      improved = true;
      break;
    }
  }
  return best;
}

interface Depths {
  readonly depths: readonly number[];
  readonly policyAt: (depths: readonly number[]) => Policy;
}

/** Without depths to start from: the deepest, and orders that alternate. */
function* depthsNear(
  { costs }: IntervalProblem,
  placement: Placement,
  now: Depths | undefined,
): Generator<Depths> {
  const { stages, microbatches, tasks } = placement;
  const all = tasks.map(costs.taskNamed);
  const most = microbatches * tasks.length;
  const last = stages.length - 1;
  const isFree = (stage: number) =>
    stage >= 0 && stage < last && all.some((task) => hasBackward(task, stages[stage]!.end));
  if (!stages.some((_, stage) => isFree(stage))) return;
  const at = (depthOf: (distance: number) => number) =>
    stages.map((_, stage) => (isFree(stage) ? Math.min(most, depthOf(last - stage)) : 1));
  if (!now) {
    yield { depths: at(() => most), policyAt: contextGearAt };
    if (tasks.length > 1) return;
    for (const deep of [1, 2, most])
      yield { depths: at((distance) => deep * distance + 1), policyAt: contextGearAlternating };
    return;
  }
  for (const [stage, depth] of now.depths.entries())
    for (const by of [1, -1]) {
      const next = now.depths.with(stage, depth + by);
      if (!isFree(stage) || depth + by < 1 || depth + by > most) continue;
      // Stages that alternate wait for ever for more forwards than come.
      if (next.every((one, s) => now.policyAt === contextGearAt || !isFree(s - 1) || one <= next[s - 1]!))
        yield { ...now, depths: next };
    }
}

/** Another number of micro-batches, two neighbours of a group in another order, a sample from one member to another. */
function* placementsNear(
  problem: IntervalProblem,
  placement: Placement,
  firstCut: number,
): Generator<Placement> {
  const { stages, microbatches, tasks } = placement;
  const samples = Math.max(...tasks.map((name) => problem.costs.taskNamed(name).samples));
  const divisions = divisionsOf(problem);
  const place = divisions.indexOf(microbatches);
  for (const other of [place - 1, place + 1, ...divisions.keys()])
    if (other !== place && divisions[other] !== undefined)
      yield { ...placement, microbatches: divisions[other] };
  for (const [index, { members }] of stages.entries()) {
    const changed = (next: readonly Member[]) => ({
      ...placement,
      stages: stages.with(index, { ...stages[index]!, members: next }),
    });
    for (const [from, giver] of members.entries()) {
      const next = members[from + 1];
      if (next) yield changed(members.with(from, next).with(from + 1, giver));
      const left = Math.round(giver.share * samples) - 1;
      for (const [to, taker] of members.entries())
        if (left > 0 && to !== from)
          yield changed(
            members
              .with(from, { ...giver, share: left / samples })
              .with(to, { ...taker, share: (Math.round(taker.share * samples) + 1) / samples }),
          );
    }
  }
  yield* neighboursOf(problem, placement, firstCut);
}
