/**
 * Exact search for few devices: every ordered set of disjoint groups, every cut and every number of micro-batches, by branch and bound.
 *
 * A branch is abandoned when the stages placed so far, or the remaining layers spread over the remaining devices, already take longer than
 * the best placement found. Devices that differ only in name are tried in one order.
 */
import type { Stage } from '../schedule/placement.js';
import { assessPlacement } from './assess-placement.js';
import { boundValue } from './period-bound.js';
import { deviceWork } from './device-work.js';
import type { Assessment, IntervalProblem } from './interval-problem.js';
import { shareSamples } from './share-samples.js';

export interface ExactSearchResult {
  readonly best: Assessment | undefined;
  /** Placements whose bound did not rule them out. */
  readonly simulated: number;
}

/** @param incumbent a placement found in another way; a good one shortens the search */
export function exactSearch(
  problem: IntervalProblem,
  {
    incumbent,
    firstCut = 1,
    below = Infinity,
  }: { incumbent?: Assessment | undefined; firstCut?: number; below?: number } = {},
): ExactSearchResult {
  const { costs, groupLimit, objective, steps } = problem;
  const { layerCount } = costs;
  const { flops, fastest } = deviceWork(problem);
  const successors = nextInterchangeable(problem);
  const deviceCount = costs.devices.length;
  const rateOf = (mask: number) => {
    let rate = 0;
    for (let device = 0; device < deviceCount; device++) if (mask & (1 << device)) rate += fastest[device]!;
    return rate;
  };
  const timeWeight = objective === 'time' ? 1 : objective === 'energy' ? 0 : objective.secondsWeight;
  let best = incumbent;
  let simulated = 0;
  const mark = () => Math.min(below, best?.value ?? Infinity);
  const hopeless = (seconds: number) => seconds * steps * timeWeight >= mark();

  for (const microbatches of problem.microbatches) {
    const visit = (stages: readonly Stage[], start: number, unused: number): void => {
      for (let group = unused; group > 0; group = (group - 1) & unused) {
        if (countBits(group) > groupLimit || skipsInterchangeable(group, unused, successors)) continue;
        const devices = bitsOf(group);
        const rate = rateOf(group);
        const left = rateOf(unused & ~group);
        for (
          let end = stages.length === 0 ? Math.max(start + 1, firstCut) : start + 1;
          end <= layerCount;
          end++
        ) {
          if (hopeless((flops[end]! - flops[start]!) / rate)) break;
          if (end < layerCount && hopeless((flops[layerCount]! - flops[end]!) / left)) continue;
          const members = shareSamples(problem, { start, end }, devices, microbatches);
          if (!members) continue;
          const next = [...stages, { start, end, members }];
          if (end < layerCount) visit(next, end, unused & ~group);
          else tryPlacement(next);
        }
      }
    };
    const tryPlacement = (stages: readonly Stage[]) => {
      const placement = { tasks: problem.tasks, microbatches, stages };
      if (boundValue(problem, placement) >= mark()) return;
      simulated += 1;
      const assessment = assessPlacement(problem, placement);
      if (assessment && (!best || assessment.value < best.value)) best = assessment;
    };
    visit([], 0, 2 ** deviceCount - 1);
  }
  return { best, simulated };
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

function countBits(mask: number): number {
  let count = 0;
  for (let rest = mask; rest > 0; rest &= rest - 1) count += 1;
  return count;
}

function bitsOf(mask: number): number[] {
  const bits: number[] = [];
  for (let bit = 0; 2 ** bit <= mask; bit++) if (mask & (1 << bit)) bits.push(bit);
  return bits;
}
