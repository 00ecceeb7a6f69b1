/**
 * What no schedule of a placement can beat: the least time of one step, from what must be done in whatever order, and the least value of
 * the objective, so that the search need not simulate what cannot win.
 *
 *   device   all its computing
 *   medium   all bytes of pipeline and gradient exchange that cross its air
 *   link     likewise, for each direction of a separate link: the pipeline between two devices alone, the exchanges of a group
 *   flush    for a task, from its lowest trained stage q:   Σ_{q ≤ i < s} (f_i + b_i + 2 transfer_i) + all computing of stage s but its
 *            last weight gradient, because a step's first forward on stage s follows those below, and the next step follows
 *            the gradients back down
 */
import { collectiveCost } from '../cost/collective-cost.js';
import { computeSeconds, stepSeconds } from '../cost/duration.js';
import { airSeconds } from '../cost/routes.js';
import { boundaryBytes, gradientBytes, gradientCrosses, hasBackward, trains } from '../cost/task-costs.js';
import { type Placement, splitsWork } from '../schedule/placement.js';
import { type IntervalProblem, valueOf } from './interval-problem.js';
import { joulesOf } from '../cost/energy.js';

export interface PeriodBound {
  readonly seconds: number;
  /** What binds: a device id, a medium's name, or the task whose steps follow each other. */
  readonly binding: { readonly kind: 'device' | 'medium' | 'link' | 'flush'; readonly name: string };
}

/** Infinity when two neighbouring stages cannot reach each other. */
export function periodBound({ costs }: IntervalProblem, placement: Placement): PeriodBound {
  const { stages, microbatches } = placement;
  let bound: PeriodBound = { seconds: 0, binding: { kind: 'device', name: '' } };
  const raise = (seconds: number, kind: PeriodBound['binding']['kind'], name: string) => {
    if (seconds > bound.seconds) bound = { seconds, binding: { kind, name } };
  };
  const airOf = new Float64Array(costs.routes.media.length);
  const linkOf = new Map<string, number>();
  const occupy = (from: string, to: string, seconds: number) =>
    linkOf.set(`${from} → ${to}`, (linkOf.get(`${from} → ${to}`) ?? 0) + seconds);
  const perStage = () => new Float64Array(stages.length);
  const pipelines = costs.sharesOf(placement).map((shares, task) => ({
    task: costs.taskNamed(placement.tasks[task]!),
    shares,
    // By stage: the least time of one micro-batch forward, backward and from the stage below.
    forward: perStage(),
    backward: perStage(),
    transfer: perStage(),
    // By stage: all computing of the slowest member, and without its last weight gradient.
    work: perStage(),
    beforeGradient: perStage(),
  }));

  for (const [s, stage] of stages.entries()) {
    const { start, end, members } = stage;
    const load = new Float64Array(members.length);
    for (const { task, shares, forward, backward, work, beforeGradient } of pipelines) {
      const owes = hasBackward(task, end);
      const loads = costs.loadsOf(shares[s]!);
      let leastForward = Infinity;
      let leastBackward = Infinity;
      const busy = new Float64Array(members.length);
      const largestWeight = new Float64Array(members.length);
      for (const [m, { device: id, work: fraction = 1 }] of members.entries()) {
        const device = costs.deviceNamed(id);
        const range = { start, end, work: fraction };
        const memberLoad = loads[m]!;
        if (memberLoad.microbatches === 0) continue;
        const all = (kind: 'forward' | 'backwardInput' | 'backwardWeight') =>
          stepSeconds(device, task, kind, range, memberLoad);
        // A rate may rise so steeply that more samples take less time.
        const each = (kind: 'forward' | 'backwardInput' | 'backwardWeight') =>
          [...memberLoad.sizes.keys()].map((samples) => computeSeconds(device, task, kind, range, samples));
        busy[m] = all('forward') + (owes ? all('backwardInput') + all('backwardWeight') : 0);
        largestWeight[m] = owes ? Math.max(...each('backwardWeight')) : 0;
        // A partner of the group's fastest member need not wait for the others.
        leastForward = Math.min(leastForward, ...each('forward'));
        leastBackward = owes ? Math.min(leastBackward, ...each('backwardInput')) : 0;
      }
      forward[s] = leastForward;
      backward[s] = leastBackward;
      for (const [m, seconds] of busy.entries()) {
        load[m]! += seconds;
        work[s] = Math.max(work[s]!, seconds);
        beforeGradient[s] = Math.max(beforeGradient[s]!, seconds - largestWeight[m]!);
      }
      const bytes = gradientBytes(task, stage);
      const contributing = members.filter((_, m) => loads[m]!.microbatches > 0);
      if (contributing.length > 1 && trains(task, { start, end }) && bytes > 0 && !splitsWork(members)) {
        const ids = contributing.map(({ device }) => costs.deviceIndex(device));
        const cost = collectiveCost(costs, { operation: 'allReduce', bytes, messages: 1 }, ids);
        if (cost.seconds === Infinity) raise(Infinity, 'link', members[0]!.device);
        for (const { from, to, medium, seconds } of cost.occupations)
          if (medium >= 0) airOf[medium]! += seconds;
          else occupy(costs.devices[from]!.id, costs.devices[to]!.id, seconds);
      }
    }
    for (const [m, seconds] of load.entries()) raise(seconds, 'device', members[m]!.device);
    if (members.length > 1 && members.some(({ work = 1, parameters = 1 }) => work < 1 || parameters < 1)) {
      // Devices that split layers or shard parameters must reach each other, whatever they exchange.
      const ids = members.map(({ device }) => costs.deviceIndex(device));
      const { seconds } = collectiveCost(costs, { operation: 'allGather', bytes: 1, messages: 1 }, ids);
      if (seconds === Infinity) raise(Infinity, 'link', members[0]!.device);
    }
    if (s === 0) continue;
    const below = stages[s - 1]!.members;
    for (const { task, transfer } of pipelines) {
      const bytes = boundaryBytes(task, start) * task.samples;
      const directions = gradientCrosses(task, start) ? 2 : 1;
      let quickest = Infinity;
      let fastest = 0;
      let medium: number | undefined;
      for (const from of below)
        for (const to of members) {
          const route = costs.routes.route(costs.deviceIndex(from.device), costs.deviceIndex(to.device));
          if (!route) {
            raise(Infinity, 'link', `${from.device} → ${to.device}`);
            continue;
          }
          fastest = Math.max(fastest, route.bytesPerSecond);
          // A message of a group carries at least one sample.
          const least = below.length * members.length === 1 ? Math.floor(task.samples / microbatches) : 1;
          quickest = Math.min(
            quickest,
            airSeconds(route, (least * bytes) / task.samples) + route.latencySeconds,
          );
          medium = medium === undefined || medium === route.medium ? route.medium : -1;
          if (below.length * members.length === 1 && route.medium < 0)
            occupy(from.device, to.device, airSeconds(route, bytes));
        }
      transfer[s] = quickest;
      if (medium !== undefined && medium >= 0) {
        airOf[medium]! += (bytes * directions) / fastest;
      }
    }
  }
  for (const [link, seconds] of linkOf) raise(seconds, 'link', link);
  for (const [medium, seconds] of airOf.entries()) raise(seconds, 'medium', costs.routes.media[medium]!);
  for (const { task, forward, backward, transfer, work, beforeGradient } of pipelines) {
    const first = stages.findIndex(({ end }) => hasBackward(task, end));
    if (first < 0) continue;
    let climb = 0;
    for (let s = first; s < stages.length; s++) {
      if (s > first) climb += 2 * transfer[s]!;
      raise(climb + (s > first ? beforeGradient[s]! : work[s]!), 'flush', task.name);
      climb += forward[s]! + backward[s]!;
    }
  }
  return bound;
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
