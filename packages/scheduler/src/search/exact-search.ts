/**
 * Exact search for few devices, by branch and bound: every ordered set of disjoint groups, every order and every whole-sample share in
 * them, every cut, every number of micro-batches and every depth.
 *
 * A branch is abandoned when the stages placed so far, or the remaining layers spread over the remaining devices, already cost more than
 * the best placement found. What is left is simulated, most promising first. Devices that differ only in name are tried in one order.
 */
import { fitsMemory } from '../cost/memory.js';
import type { Placement, Stage } from '../schedule/placement.js';
import { deviceWork } from './device-work.js';
import { limits } from './effort.js';
import { assessEveryOrder } from './every-order.js';
import { everyShare } from './every-share.js';
import type { Assessment, IntervalProblem } from './interval-problem.js';
import { boundValue } from './period-bound.js';

export interface ExactSearchOptions {
  /** A placement found in another way; a good one shortens the search. */
  readonly incumbent?: Assessment | undefined;
  readonly firstCut?: number;
  /** Bounds and simulations at most. */
  readonly mostBounds?: number;
  readonly mostSimulations?: number;
}

export interface ExactSearchResult {
  readonly best: Assessment | undefined;
  readonly simulated: number;
  /** Whether everything was covered; otherwise a limit was reached. */
  readonly complete: boolean;
}

export function exactSearch(
  problem: IntervalProblem,
  {
    incumbent,
    firstCut = 1,
    mostBounds = limits.exactBounds,
    mostSimulations = limits.exactSimulations,
  }: ExactSearchOptions = {},
): ExactSearchResult {
  let best = incumbent;
  let simulated = 0;
  let complete = true;
  const candidates = placementsWithin(problem, { below: best?.value ?? Infinity, firstCut, mostBounds });
  if (!candidates) return { best, simulated, complete: false };
  candidates.sort((a, b) => a.bound - b.bound);
  const spend = () => {
    complete &&= simulated < mostSimulations;
    simulated += 1;
    return complete;
  };
  for (const { placement, bound } of candidates) {
    if (!complete || (best && bound >= best.value)) break;
    best = assessEveryOrder(problem, placement, { incumbent: best?.value ?? Infinity, bound, spend }) ?? best;
  }
  return { best, simulated, complete };
}

/** Numbers of micro-batches of the exact search. */
export const divisionsOf = ({
  costs,
  tasks,
  microbatches,
  anyMicrobatches,
}: IntervalProblem): readonly number[] =>
  anyMicrobatches
    ? Array.from({ length: Math.min(...tasks.map((name) => costs.taskNamed(name).samples)) }, (_, i) => i + 1)
    : microbatches;

interface Candidate {
  readonly placement: Placement;
  readonly bound: number;
}

/** All placements whose bound is below a value; undefined when they are too many to find out. */
function placementsWithin(
  problem: IntervalProblem,
  { below, firstCut, mostBounds }: { below: number; firstCut: number; mostBounds: number },
): Candidate[] | undefined {
  const { costs, tasks, groupLimit, objective, steps, window } = problem;
  const { layerCount } = costs;
  const { flops, fastest } = deviceWork(problem);
  const successors = nextInterchangeable(problem);
  const deviceCount = costs.devices.length;
  const everyDevice = 2 ** deviceCount - 1;
  const samples = tasks.map((name) => costs.taskNamed(name).samples);
  const mostSamples = Math.max(...samples);
  const timeWeight = objective === 'time' ? 1 : objective === 'energy' ? 0 : objective.secondsWeight;
  const hopeless = (seconds: number) => seconds * steps * timeWeight >= below;
  const rates = Float64Array.from({ length: everyDevice + 1 }, (_, mask) =>
    bitsOf(mask).reduce((rate, device) => rate + fastest[device]!, 0),
  );
  const found: Candidate[] = [];
  let bounds = 0;

  for (const microbatches of divisionsOf(problem)) {
    const known = new Map<number, readonly Stage[]>();
    /** Stages that a group can be on these layers, in all orders and with all shares that are not too slow. */
    const stagesOf = (group: number, start: number, end: number): readonly Stage[] => {
      const key = (group * layerCount + start) * (layerCount + 1) + end;
      const before = known.get(key);
      if (before) return before;
      const stages: Stage[] = [];
      const work = flops[end]! - flops[start]!;
      // Where tasks have fewer samples, a share is rounded: a member may get nothing of theirs.
      const sharedBy = samples.every((count) => count === mostSamples) ? mostSamples : Infinity;
      const mayTake = (device: number, count: number) =>
        !hopeless((work * count) / sharedBy / fastest[device]!);
      for (const members of everyShare(problem, bitsOf(group), mayTake)) {
        if (bounds++ > mostBounds) break;
        const stage = { start, end, members };
        const alone = { tasks, microbatches, stages: [stage] };
        if (fitsMemory(costs, alone, window) && boundValue(problem, alone) < below) stages.push(stage);
      }
      known.set(key, stages);
      return stages;
    };
    const visit = (lower: readonly Stage[], start: number, unused: number): void => {
      for (let group = unused; group > 0; group = (group - 1) & unused) {
        if (countBits(group) > groupLimit || skipsInterchangeable(group, unused, successors)) continue;
        const left = unused & ~group;
        for (let end = Math.max(start + 1, start === 0 ? firstCut : 1); end <= layerCount; end++) {
          if (hopeless((flops[end]! - flops[start]!) / rates[group]!)) break;
          if (end < layerCount && hopeless((flops[layerCount]! - flops[end]!) / rates[left]!)) continue;
          for (const stage of stagesOf(group, start, end)) {
            if (bounds++ > mostBounds) return;
            const stages = [...lower, stage];
            const placement = { tasks, microbatches, stages };
            const bound = boundValue(problem, placement);
            if (bound >= below) continue;
            if (end < layerCount) visit(stages, end, left);
            else found.push({ placement, bound });
          }
        }
      }
    };
    visit([], 0, everyDevice);
    if (bounds > mostBounds) return undefined;
  }
  return found;
}

/** For each device the next one that is interchangeable with it, or -1. */
const nextInterchangeable = ({ costs: { devices } }: IntervalProblem): number[] =>
  devices.map(({ interchangeableWith: first }, index) =>
    devices.findIndex((other, later) => later > index && other.interchangeableWith === first),
  );

/** Of interchangeable devices the first unused ones are taken first; a group that leaves one out is another's double. */
function skipsInterchangeable(group: number, unused: number, successors: readonly number[]): boolean {
  for (const [device, next] of successors.entries())
    if (next >= 0 && unused & (1 << device) && !(group & (1 << device)) && group & (1 << next)) return true;
  return false;
}

const countBits = (mask: number): number => bitsOf(mask).length;

function bitsOf(mask: number): number[] {
  const bits: number[] = [];
  for (let bit = 0; 2 ** bit <= mask; bit++) if (mask & (1 << bit)) bits.push(bit);
  return bits;
}
