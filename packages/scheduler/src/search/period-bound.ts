/**
 * What no schedule of a placement can beat: the least time of one step, from what must be done in whatever order, and the least value of
 * the objective, so that the search need not simulate what cannot win.
 *
 *   device   all its computing
 *   medium   all bytes of pipeline and gradient exchange that cross its air
 *   link     likewise, for each direction of a separate link: the pipeline between two devices alone, the exchanges of a group
 *   flush    for a task, from the lowest trained stage q whose members begin a step together:   Σ_{q ≤ i < s} (f_i + b_i + 2 transfer_i) + all computing of stage s but its
 *            last weight gradient, because a step's first forward on stage s follows those below, and the next step follows
 *            the gradients back down
 *   memory   a member keeps a micro-batch's activations while it goes up and its gradient comes back down:
 *            Σ_{i ≥ s} (f_i + b_i + 2 transfer_{i+1}) of all its micro-batches / as many as it can keep at once
 */
import type { DeviceCosts } from '../cost/cluster-costs.js';
import { collectiveCost, type Occupation } from '../cost/collective-cost.js';
import type { CostModel, StageShares } from '../cost/cost-model.js';
import { computeSeconds, stepSeconds } from '../cost/duration.js';
import { activationBytes, type StateBytes, stateBytes } from '../cost/memory.js';
import { airSeconds } from '../cost/routes.js';
import {
  boundaryBytes,
  endsStepTogether,
  gradientBytes,
  gradientCrosses,
  hasBackward,
  type TaskCosts,
  trains,
} from '../cost/task-costs.js';
import { type Member, type Placement, splitsWork, type Stage } from '../schedule/placement.js';
import { type IntervalProblem, valueOf } from './interval-problem.js';
import { joulesOf } from '../cost/energy.js';

export interface PeriodBound {
  readonly seconds: number;
  /** What binds: a device id, a medium's name, or the task whose steps follow each other. */
  readonly binding: {
    readonly kind: 'device' | 'medium' | 'link' | 'flush' | 'memory';
    readonly name: string;
  };
}

/** Infinity when two neighbouring stages cannot reach each other. */
export function periodBound({ costs }: IntervalProblem, placement: Placement): PeriodBound {
  const { stages, microbatches, tasks: names } = placement;
  const tasks = names.map(costs.taskNamed);
  let bound: PeriodBound = { seconds: 0, binding: { kind: 'device', name: '' } };
  const raise = (seconds: number, kind: PeriodBound['binding']['kind'], name: string) => {
    if (seconds > bound.seconds) bound = { seconds, binding: { kind, name } };
  };
  const airOf = new Float64Array(costs.routes.media.length);
  const linkOf = new Map<number, number>();
  const nameOf = (link: number) => {
    const count = costs.devices.length;
    return `${costs.devices[Math.floor(link / count)]!.id} → ${costs.devices[link % count]!.id}`;
  };
  const occupy = ({ from, to, medium, seconds }: Occupation) => {
    const link = from * costs.devices.length + to;
    if (medium >= 0) airOf[medium]! += seconds;
    else linkOf.set(link, (linkOf.get(link) ?? 0) + seconds);
  };
  const all = stages.map((stage) => {
    const shares = costs.stageShares(stage, names, microbatches);
    return costs.once(shares, () => costsOfStage(costs, tasks, stage, shares));
  });
  const climbs = tasks.map(() => -1);
  const transfers: number[][] = [];
  for (const [s, { busy, apart, occupations, works }] of all.entries()) {
    const { end, members } = stages[s]!;
    for (const [m, seconds] of busy.entries()) raise(seconds, 'device', members[m]!.device);
    if (apart) raise(Infinity, 'link', members[0]!.device);
    for (const occupation of occupations) occupy(occupation);
    const below = all[s - 1];
    for (const [t, task] of tasks.entries()) {
      const transfer = below
        ? transferBetween(costs, task, { from: below.devices, to: all[s]!.devices, microbatches }, stages[s]!)
        : undefined;
      if (transfer?.unreachable) raise(Infinity, 'link', nameOf(transfer.unreachable));
      if (transfer) for (const occupation of transfer.occupations) occupy(occupation);
      (transfers[s] ??= [])[t] = transfer?.quickest ?? 0;
      if (!hasBackward(task, end) || (climbs[t]! < 0 && !endsStepTogether(task, stages[s]!))) continue;
      const { forward, backward, work, beforeGradient } = works[t]!;
      const first = climbs[t]! < 0;
      const climb = first ? 0 : climbs[t]! + 2 * transfer!.quickest;
      raise(climb + (first ? work : beforeGradient), 'flush', task.name);
      climbs[t] = climb + forward + backward;
    }
  }
  // What a micro-batch takes above each stage, up and down again.
  const above = tasks.map(() => 0);
  for (let s = stages.length - 1; s >= 0; s--) {
    const { works, holding } = all[s]!;
    for (const [m, { most, held, seconds }] of holding.entries()) {
      let needed = seconds;
      for (const [t, microbatches] of held.entries()) needed += microbatches * above[t]!;
      if (needed > 0) raise(needed / most, 'memory', stages[s]!.members[m]!.device);
    }
    for (const [t, { forward, backward }] of works.entries())
      above[t]! += forward + backward + 2 * transfers[s]![t]!;
  }
  for (const [link, seconds] of linkOf) raise(seconds, 'link', nameOf(link));
  for (const [medium, seconds] of airOf.entries()) raise(seconds, 'medium', costs.routes.media[medium]!);
  return bound;
}

/** What a stage is bound to take of its devices and its group's links. */
interface StageCosts {
  /** Indices of the members. */
  readonly devices: readonly number[];
  /** Seconds of a step in which each member computes. */
  readonly busy: Float64Array;
  readonly occupations: readonly Occupation[];
  /** By member: micro-batches whose activations it can keep at once, those of a step by task, and their own passes in seconds. */
  readonly holding: readonly {
    readonly most: number;
    readonly held: readonly number[];
    readonly seconds: number;
  }[];
  /** Whether members that must exchange something cannot reach each other. */
  readonly apart: boolean;
  /** By task: the least time of one micro-batch forward and backward; all computing of the slowest member, and without its last weight gradient. */
  readonly works: readonly {
    readonly forward: number;
    readonly backward: number;
    readonly work: number;
    readonly beforeGradient: number;
  }[];
}

function costsOfStage(
  costs: CostModel,
  tasks: readonly TaskCosts[],
  stage: Stage,
  shares: StageShares,
): StageCosts {
  const { start, end, members } = stage;
  const devices = members.map(({ device }) => costs.deviceIndex(device));
  const busy = new Float64Array(members.length);
  const occupations: Occupation[] = [];
  const state = stateBytes(tasks, stage);
  const holding = members.map(() => ({ most: 0, held: tasks.map(() => 0), seconds: 0 }));
  let apart = false;
  const exchange = (operation: 'allReduce' | 'allGather', bytes: number, ring: readonly number[]) => {
    const cost = collectiveCost(costs, { operation, bytes, messages: 1 }, ring);
    apart ||= cost.seconds === Infinity;
    return cost.occupations;
  };
  const works = tasks.map((task, t) => {
    const owes = hasBackward(task, end);
    const loads = costs.loadsOf(shares[t]!);
    let [forward, backward, work, beforeGradient] = [Infinity, owes ? Infinity : 0, 0, 0];
    for (const [m, { work: fraction = 1 }] of members.entries()) {
      if (loads[m]!.microbatches === 0) continue;
      const device = costs.devices[devices[m]!]!;
      const range = { start, end, work: fraction };
      let [seconds, largestWeight] = [0, 0];
      // A rate may rise so steeply that more samples take less time; a partner of the group's fastest member need not wait for the others.
      for (const [samples, count] of loads[m]!.sizes) {
        const one = computeSeconds(device, task, 'forward', range, samples);
        forward = Math.min(forward, one);
        seconds += count * one;
        if (!owes) continue;
        const input = computeSeconds(device, task, 'backwardInput', range, samples);
        const weight = computeSeconds(device, task, 'backwardWeight', range, samples);
        backward = Math.min(backward, input);
        largestWeight = Math.max(largestWeight, weight);
        seconds += count * (input + weight);
        const kept = holding[m]!;
        kept.held[t]! += count;
        kept.seconds += count * (one + input);
        const room = residentRoom(device, state, members[m]!);
        const each = activationBytes(task, stage, samples, members[m]);
        kept.most = Math.max(kept.most, 1, Math.floor((room / each) * (1 + 1e-9)));
      }
      busy[m]! += seconds;
      work = Math.max(work, seconds);
      beforeGradient = Math.max(beforeGradient, seconds - largestWeight);
    }
    const bytes = gradientBytes(task, stage);
    const contributing = devices.filter((_, m) => loads[m]!.microbatches > 0);
    if (contributing.length > 1 && trains(task, stage) && bytes > 0 && !splitsWork(members))
      occupations.push(...exchange('allReduce', bytes, contributing));
    return { forward, backward, work, beforeGradient };
  });
  // Devices that split layers or shard parameters must reach each other, whatever they exchange.
  if (members.length > 1 && members.some(({ work = 1, parameters = 1 }) => work < 1 || parameters < 1))
    exchange('allGather', 1, devices);
  return { devices, busy, holding, occupations, apart, works };
}

/** Memory that is left for activations, were there no messages. */
const residentRoom = (
  { memoryBytes }: DeviceCosts,
  { parameterBytes, optimizerBytes }: StateBytes,
  { parameters = 1, optimizer = 1 }: Member,
): number => memoryBytes - parameterBytes * parameters - optimizerBytes * optimizer;

/** What a task sends over the boundary below a stage: the quickest of its messages, and what they occupy for sure. */
function transferBetween(
  { routes, devices }: CostModel,
  task: TaskCosts,
  { from, to, microbatches }: { from: readonly number[]; to: readonly number[]; microbatches: number },
  { start }: Stage,
): { quickest: number; occupations: readonly Occupation[]; unreachable?: number } {
  const bytes = boundaryBytes(task, start);
  const pair = from.length * to.length === 1;
  // A message of a group carries at least one sample.
  const least = bytes * (pair ? Math.floor(task.samples / microbatches) : 1);
  let quickest = Infinity;
  let fastest = 0;
  let medium: number | undefined;
  for (const a of from)
    for (const b of to) {
      const route = routes.route(a, b);
      if (!route) return { quickest, occupations: [], unreachable: a * devices.length + b };
      fastest = Math.max(fastest, route.bytesPerSecond);
      quickest = Math.min(quickest, airSeconds(route, least) + route.latencySeconds);
      medium = medium === undefined || medium === route.medium ? route.medium : -2;
    }
  const all = bytes * task.samples;
  if (medium! >= 0) {
    const seconds = (all * (gradientCrosses(task, start) ? 2 : 1)) / fastest;
    return { quickest, occupations: [{ from: -1, to: -1, medium: medium!, seconds }] };
  }
  return {
    quickest,
    occupations: pair ? [{ from: from[0]!, to: to[0]!, medium: -1, seconds: all / fastest }] : [],
  };
}

/** The least value of the objective that the placement can have; Infinity where `periodBound` is. */
export function boundValue(problem: IntervalProblem, placement: Placement): number {
  const { steps, objective } = problem;
  const seconds = steps * periodBound(problem, placement).seconds;
  if (seconds === Infinity) return Infinity;
  return valueOf(objective, seconds, objective === 'time' ? 0 : placementJoules(problem, placement, seconds));
}

/** Joules of all steps if they take so many seconds; devices of unknown power count as 0. */
export function placementJoules(
  { costs, steps }: IntervalProblem,
  placement: Placement,
  seconds: number,
): number {
  const shares = costs.sharesOf(placement);
  let joules = 0;
  for (const [stageIndex, stage] of placement.stages.entries())
    for (const [memberIndex, { device: id, work = 1 }] of stage.members.entries()) {
      const index = costs.deviceIndex(id);
      const device = costs.devices[index]!;
      let busy = 0;
      for (const [taskIndex, name] of placement.tasks.entries()) {
        const task = costs.taskNamed(name);
        const load = costs.loadsOf(shares[taskIndex]![stageIndex]!)[memberIndex]!;
        if (load.microbatches === 0) continue;
        const range = { start: stage.start, end: stage.end, work };
        busy += stepSeconds(device, task, 'forward', range, load);
        if (hasBackward(task, stage.end))
          busy +=
            stepSeconds(device, task, 'backwardInput', range, load) +
            stepSeconds(device, task, 'backwardWeight', range, load);
        if (trains(task, stage)) busy += device.overheadSeconds;
      }
      // The seconds are a bound, which may be less than a device computes.
      const busySeconds = busy * steps;
      joules += joulesOf(costs.cluster.devices[index]!, busySeconds, Math.max(seconds, busySeconds)) ?? 0;
    }
  return joules;
}
