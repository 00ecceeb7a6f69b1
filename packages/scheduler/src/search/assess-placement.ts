/** What a placement is worth: by the simulator, or for local search a little more roughly and quicker by the list scheduler's clock. */
import type { CostModel } from '../cost/cost-model.js';
import { airSeconds } from '../cost/routes.js';
import { joulesOf } from '../cost/energy.js';
import { fitsMemory } from '../cost/memory.js';
import { ownValue } from '../problem/names.js';
import { buildSchedule } from '../schedule/build-schedule.js';
import type { Pass } from '../schedule/passes/pass.js';
import type { Placement } from '../schedule/placement.js';
import { simulateWith } from '../simulate/simulate.js';
import type { DeviceUse, LinkUse } from '../simulate/timeline.js';
import { SchedulerError } from '../scheduler-error.js';
import { effortFor, limits } from './effort.js';
import { type Assessment, type IntervalProblem, valueOf } from './interval-problem.js';
import { periodBound, placementJoules } from './period-bound.js';
import { playPipeline } from '../schedule/policies/list-scheduling.js';

/**
 * The best policy for a placement, or undefined when it does not fit into memory or its stages cannot reach each other.
 *
 * A few steps are simulated, and every further one takes as long as the last did (the mean of the last two where steps overlap), but
 * no less than `periodBound`.
 */
export function assessPlacement(
  problem: IntervalProblem,
  placement: Placement,
  passes: readonly Pass[] = [],
): Assessment | undefined {
  const { costs, window, cache, policies, objective } = problem;
  if (!fitsMemory(costs, placement, window)) return undefined;
  const bound = periodBound(problem, placement);
  if (bound.seconds === Infinity) return undefined;
  const simulatedSteps = stepsToSimulate(problem, placement);
  let best: Assessment | undefined;
  // Alone on one device there is nothing to order.
  const worthTrying = placement.stages.length === 1 ? policies.slice(0, 1) : policies;
  const enough = problem.steps * bound.seconds * effortFor(costs.devices.length).closeToBound;
  for (const policy of worthTrying) {
    if (best && objective === 'time' && best.value <= enough) break;
    const timeline = unlessEndless(() => {
      const schedule = buildSchedule(costs, [placement], {
        policy,
        steps: simulatedSteps,
        window,
        cache,
        passes,
      });
      return simulateWith(costs, schedule, { spans: false });
    });
    if (!timeline) continue;
    const { devices, links, makespanSeconds, stepEndSeconds, bytes } = timeline;
    if (!devices.every((use) => fitsDevice(problem, placement, use))) continue;
    const [ends = []] = stepEndSeconds;
    const { totalSeconds, stepSeconds } = extrapolate(problem, makespanSeconds, ends, bound.seconds);
    const joules = joulesByDevice(problem, devices, simulatedSteps, totalSeconds);
    const totalJoules =
      joules.length === 0 ? undefined : joules.reduce((sum, [, deviceJoules]) => sum + deviceJoules, 0);
    const value = valueOf(objective, totalSeconds, totalJoules ?? 0);
    if (best && best.value <= value) continue;
    best = {
      placement,
      policy,
      passes,
      value,
      totalSeconds,
      stepSeconds,
      totalJoules,
      bytesPerStep: bytes / simulatedSteps,
      airSeconds: airOf(costs, links).map((seconds) => seconds / simulatedSteps),
      peakMemoryBytes: Object.fromEntries(
        devices.map(({ device, peakMemoryBytes }) => [device, peakMemoryBytes]),
      ),
      devices,
      simulatedSteps,
    };
  }
  return best;
}

/** Seconds that messages keep each medium's air busy. */
function airOf({ routes, deviceIndex }: CostModel, links: readonly LinkUse[]): number[] {
  const seconds = routes.media.map(() => 0);
  for (const { from, to, bytes } of links) {
    const route = routes.route(deviceIndex(from), deviceIndex(to));
    if (route && route.medium >= 0) seconds[route.medium]! += airSeconds(route, bytes);
  }
  return seconds;
}

/** Undefined where devices wait for each other for ever, as strict orders of groups may. */
function unlessEndless<T>(play: () => T): T | undefined {
  try {
    return play();
  } catch (error) {
    if (error instanceof SchedulerError && error.code === 'SCHEDULER_SCHEDULE_ENDLESS') return undefined;
    throw error;
  }
}

/** Two where every step drains the pipeline, else enough to see the period; several tasks fill the pipeline within their first step. */
function stepsToSimulate({ costs, steps }: IntervalProblem, { tasks, stages }: Placement): number {
  const { siblings, draining, overlapping } = limits.simulatedSteps;
  if (tasks.length > 1) return Math.min(steps, siblings);
  const drains = tasks.some((name) => costs.taskNamed(name).lowestTrained < stages[0]!.end);
  return Math.min(steps, drains ? draining : overlapping);
}

/** From a few steps to all of them. */
function extrapolate(
  { steps }: IntervalProblem,
  makespanSeconds: number,
  stepEndSeconds: readonly number[],
  boundSeconds: number,
): { stepSeconds: number; totalSeconds: number } {
  const simulated = stepEndSeconds.length;
  const last = stepEndSeconds[simulated - 1]!;
  const measured =
    simulated === 1
      ? makespanSeconds
      : simulated === 2
        ? last - stepEndSeconds[0]!
        : (last - stepEndSeconds[simulated - 3]!) / 2;
  const stepSeconds = steps > simulated ? Math.max(measured, boundSeconds) : makespanSeconds / simulated;
  return { stepSeconds, totalSeconds: makespanSeconds + (steps - simulated) * stepSeconds };
}

/** Whether a device's memory holds its peak, and its storage, or else what memory is left, its part of the activation caches. */
function fitsDevice(
  { costs, cacheBytes }: IntervalProblem,
  { stages, tasks }: Placement,
  { device, peakMemoryBytes }: DeviceUse,
): boolean {
  const { memoryBytes, storageBytes } = costs.cluster.devices[costs.deviceIndex(device)]!;
  let cached = 0;
  for (const { start, end, members } of stages)
    for (const name of tasks) {
      const { lowestTrained } = costs.taskNamed(name);
      const share = members.find((member) => member.device === device)?.share ?? 0;
      if (lowestTrained >= start && lowestTrained < end) cached += share * (ownValue(cacheBytes, name) ?? 0);
    }
  return storageBytes === undefined
    ? peakMemoryBytes + cached <= memoryBytes
    : peakMemoryBytes <= memoryBytes && cached <= storageBytes;
}

/**
 * Joules of each device whose power is known, over all steps. Busy time grows with the steps; idle power is paid for the rest of the time.
 * Unused devices are taken to be off.
 */
export function joulesByDevice(
  { costs, steps }: IntervalProblem,
  devices: readonly Pick<DeviceUse, 'device' | 'busySeconds'>[],
  simulatedSteps: number,
  totalSeconds: number,
): [device: string, joules: number][] {
  return devices.flatMap(({ device, busySeconds }): [string, number][] => {
    const profile = costs.cluster.devices[costs.deviceIndex(device)]!;
    const joules = joulesOf(profile, (busySeconds / simulatedSteps) * steps, totalSeconds);
    return joules === undefined ? [] : [[device, joules]];
  });
}

/** Seconds of all steps with the deep order, or the better of that and the full one; undefined when the placement does not fit into memory or its stages cannot reach each other. */
function estimateSeconds(problem: IntervalProblem, placement: Placement): number | undefined {
  const { costs, window } = problem;
  if (!fitsMemory(costs, placement, window)) return undefined;
  const bound = periodBound(problem, placement);
  if (bound.seconds === Infinity) return undefined;
  const context = {
    costs,
    placement,
    sampleShares: costs.sharesOf(placement),
    steps: stepsToSimulate(problem, placement),
    window,
  };
  let least: number | undefined;
  const { orders } = effortFor(costs.devices.length);
  for (const inFlight of [(distance: number) => 2 * distance + 1, () => Infinity].slice(
    0,
    Math.max(1, orders - 1),
  )) {
    const played = unlessEndless(() => playPipeline(context, { inFlight, fusedBackward: false }));
    if (!played) continue;
    const { makespanSeconds, stepEndSeconds } = played;
    const { totalSeconds } = extrapolate(problem, makespanSeconds, stepEndSeconds, bound.seconds);
    least = Math.min(least ?? Infinity, totalSeconds);
    if (least <= problem.steps * bound.seconds * limits.closeEstimate) break;
  }
  return least;
}

/** The objective's value in so many seconds. */
export const estimatePlacement = (problem: IntervalProblem, placement: Placement): number | undefined => {
  const seconds = estimateSeconds(problem, placement);
  if (seconds === undefined || problem.objective === 'time') return seconds;
  return valueOf(problem.objective, seconds, placementJoules(problem, placement, seconds));
};
