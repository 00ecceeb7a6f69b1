/**
 * Exact search for few devices, by branch and bound: every ordered set of disjoint groups, every order and every whole-sample share in
 * them, every cut, every number of micro-batches and every depth.
 *
 * A branch is abandoned when the stages placed so far, or the remaining layers spread over the remaining devices, already cost more than
 * the best placement found. What is left is simulated, most promising first. Devices that differ only in name are tried in one order.
 */
import { computeSeconds } from '../cost/duration.js';
import { fitsMemory, stateBytes } from '../cost/memory.js';
import { endsStepTogether, hasBackward } from '../cost/task-costs.js';
import type { Member, Placement, Stage } from '../schedule/placement.js';
import { assessPlacement } from './assess-placement.js';
import { deviceWork } from './device-work.js';
import { limits } from './effort.js';
import { assessEveryOrder } from './every-order.js';
import { everyShare } from './every-share.js';
import type { Assessment, IntervalProblem } from './interval-problem.js';
import { shareSamples } from './share-samples.js';
import { boundValue } from './period-bound.js';

export interface ExactSearchOptions {
  /** A placement found in another way; a good one shortens the search. */
  readonly incumbent?: Assessment | undefined;
  readonly firstCut?: number;
  /** Only placements of less value are of interest. */
  readonly below?: number;
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
    below = Infinity,
    mostBounds = limits.exactBounds,
    mostSimulations = limits.exactSimulations,
  }: ExactSearchOptions = {},
): ExactSearchResult {
  let best = incumbent;
  let simulated = 0;
  const mark = () => Math.min(below, best?.value ?? Infinity);
  const spend = () => (simulated += 1) <= mostSimulations;
  const { found, complete } = placementsWithin(problem, { below: mark(), firstCut, mostBounds, every: true });
  for (const { placement, bound } of found) {
    if (simulated > mostSimulations || bound >= mark()) break;
    best = assessEveryOrder(problem, placement, { incumbent: mark(), bound, spend }) ?? best;
  }
  return { best, simulated, complete: complete && simulated <= mostSimulations };
}

/** The same with one order and one share of every group, the listed numbers of micro-batches and the listed policies: quick, and seldom far off. */
export function coarseSearch(
  problem: IntervalProblem,
  { incumbent, firstCut = 1, below = Infinity }: ExactSearchOptions,
): Omit<ExactSearchResult, 'complete'> {
  let best = incumbent;
  let simulated = 0;
  const mark = () => Math.min(below, best?.value ?? Infinity);
  const options = { below: mark(), firstCut, mostBounds: limits.coarseBounds, every: false };
  for (const { placement, bound } of placementsWithin(problem, options).found) {
    if (simulated >= limits.coarseSimulations || bound >= mark()) break;
    simulated += 1;
    const assessment = assessPlacement(problem, placement);
    if (assessment && assessment.value < mark()) best = assessment;
  }
  return { best, simulated };
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

/** A stage, what it alone is bound to cost, and the least seconds of a micro-batch forward and backward on it, 0 where it owes no backward pass. */
interface BoundedStage {
  readonly stage: Stage;
  readonly bound: number;
  readonly passSeconds: number;
  /** Whether the next step follows the gradients' way back to it. */
  readonly flushes: boolean;
}

/** Placements whose bound is below a value, most promising first; all of them unless so many bounds do not suffice. */
function placementsWithin(
  problem: IntervalProblem,
  {
    below,
    firstCut,
    mostBounds,
    every,
  }: { below: number; firstCut: number; mostBounds: number; every: boolean },
): { found: Candidate[]; complete: boolean } {
  const { costs, tasks, groupLimit, objective, steps, window } = problem;
  const { layerCount, devices } = costs;
  const { seconds, all: work, passes } = deviceWork(problem);
  const successors = nextInterchangeable(problem);
  const everyDevice = 2 ** devices.length - 1;
  const all = tasks.map(costs.taskNamed);
  const most = Math.max(...all.map(({ samples }) => samples));
  const timeWeight = objective === 'time' ? 1 : objective === 'energy' ? 0 : objective.secondsWeight;
  const hopeless = (stepSeconds: number) => stepSeconds * steps * timeWeight >= below;
  const speeds = ofSets(work.speeds);
  const passSpeeds = ofSets(passes.speeds);
  const found: Candidate[] = [];
  let bounds = 0;
  const boundOf = (placement: Placement) => {
    bounds += 1;
    return boundValue(problem, placement);
  };

  for (const microbatches of every ? divisionsOf(problem) : problem.microbatches) {
    const known = new Map<number, readonly BoundedStage[]>();
    /** What a group can be on these layers, in all orders and with all shares that are not too slow. */
    const stagesOf = (group: number, start: number, end: number): readonly BoundedStage[] => {
      const key = (group * layerCount + start) * (layerCount + 1) + end;
      const before = known.get(key);
      if (before) return before;
      const members = bitsOf(group);
      const { parameterBytes, optimizerBytes } = stateBytes(all, { start, end });
      const holds = members.every(
        (device) => devices[device]!.memoryBytes >= parameterBytes + optimizerBytes,
      );
      const mayTake = (device: number, count: number) => {
        // Of tasks with fewer samples a share is rounded.
        const share = Math.min(
          ...all.map(({ samples }) => Math.floor((count * samples) / most + 1e-9) / samples),
        );
        return !hopeless((seconds[device]![end]! - seconds[device]![start]!) * share);
      };
      const sharesOf = (): Iterable<Member[]> => {
        if (every) return everyShare(problem, members, mayTake);
        const shared = shareSamples(problem, { start, end }, members, microbatches);
        return shared ? [shared] : [];
      };
      const stages: BoundedStage[] = [];
      for (const shared of holds ? sharesOf() : []) {
        if (bounds > mostBounds) break;
        const stage = { start, end, members: shared };
        const alone = { tasks, microbatches, stages: [stage] };
        if (!fitsMemory(costs, alone, window)) continue;
        const bound = boundOf(alone);
        if (bound < below)
          stages.push({
            stage,
            bound,
            passSeconds: passSeconds(stage),
            flushes: endsStepTogether(all[0]!, stage),
          });
      }
      known.set(key, stages);
      return stages;
    };
    /** Of one task only: others may fill the time. */
    const passSeconds = ({ start, end, members }: Stage): number => {
      const [task, ...others] = all;
      if (others.length > 0 || !hasBackward(task!, end)) return 0;
      const least = members.length === 1 ? Math.floor(task!.samples / microbatches) : 1;
      return Math.min(
        ...members.map(({ device: id }) => {
          const device = costs.deviceNamed(id);
          const range = { start, end };
          return (
            computeSeconds(device, task!, 'forward', range, least) +
            computeSeconds(device, task!, 'backwardInput', range, least)
          );
        }),
      );
    };
    const visit = (lower: readonly Stage[], climbed: number, start: number, unused: number): void => {
      for (let group = unused; group > 0; group = (group - 1) & unused) {
        if (countBits(group) > groupLimit || skipsInterchangeable(group, unused, successors)) continue;
        const left = unused & ~group;
        for (let end = Math.max(start + 1, start === 0 ? firstCut : 1); end <= layerCount; end++) {
          if (hopeless((work.seconds[end]! - work.seconds[start]!) / speeds[group]!)) break;
          const rest =
            end === layerCount ? 0 : (work.seconds[layerCount]! - work.seconds[end]!) / speeds[left]!;
          if (hopeless(rest)) continue;
          const passing =
            end === layerCount ? 0 : (passes.seconds[layerCount]! - passes.seconds[end]!) / passSpeeds[left]!;
          for (const { stage, bound: alone, passSeconds, flushes } of stagesOf(group, start, end)) {
            if (bounds > mostBounds) return;
            const pass = climbed > 0 || flushes ? passSeconds : 0;
            // The layers above begin when a micro-batch has come up, and the next step when the gradient has come down.
            if (climbed + pass > 0 && hopeless(climbed + pass + passing)) continue;
            const stages = [...lower, stage];
            const placement = { tasks, microbatches, stages };
            const bound = lower.length === 0 ? alone : boundOf(placement);
            if (bound >= below) continue;
            if (end < layerCount) visit(stages, climbed + pass, end, left);
            else found.push({ placement, bound });
          }
        }
      }
    };
    visit([], 0, 0, everyDevice);
  }
  found.sort((a, b) => a.bound - b.bound);
  return { found, complete: bounds <= mostBounds };
}

/** Sums over every set of devices, by its bits. */
const ofSets = (speeds: readonly number[]): Float64Array =>
  Float64Array.from({ length: 2 ** speeds.length }, (_, mask) =>
    bitsOf(mask).reduce((speed, device) => speed + speeds[device]!, 0),
  );

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
