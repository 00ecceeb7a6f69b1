/** Asks the simulator what a placement is worth. */
import { buildSchedule, type Pass } from '../schedule/build-schedule.js';
import { activationBytes, residentBytes } from '../cost/memory.js';
import type { Placement } from '../schedule/placement.js';
import { ownValue } from '../problem/own-value.js';
import { simulateWith } from '../simulate/simulate.js';
import type { DeviceUse } from '../simulate/timeline.js';
import { periodBound } from './period-bound.js';
import { type Assessment, type SegmentProblem, valueOf } from './interval-problem.js';

/**
 * The best policy for a placement, or undefined when it does not fit into memory or its stages cannot reach each other.
 *
 * A few steps are simulated, and every further one takes as long as the last did (the mean of the last two where steps overlap), but
 * no less than `periodBound`.
 */
export function assessPlacement(
  problem: SegmentProblem,
  placement: Placement,
  passes: readonly Pass[] = [],
): Assessment | undefined {
  const { costs, window, cache, policies, objective } = problem;
  if (!fitsMemory(problem, placement)) return undefined;
  const bound = periodBound(problem, placement);
  if (bound.seconds === Infinity) return undefined;
  const steps = stepsToSimulate(problem, placement);
  let best: Assessment | undefined;
  // Alone on one device there is nothing to order.
  const worthTrying = placement.stages.length === 1 ? policies.slice(0, 1) : policies;
  for (const policy of worthTrying) {
    const schedule = buildSchedule(costs, [placement], { policy, steps, window, cache, passes });
    const timeline = simulateWith(costs, schedule, { spans: false });
    if (!timeline.devices.every((use) => fitsDevice(problem, placement, use))) continue;
    const times = extrapolate(problem, timeline.makespanSeconds, timeline.stepEndSeconds[0]!, bound.seconds);
    const { totalSeconds, stepSeconds } = times;
    const totalJoules = joulesOf(problem, timeline.devices, steps, totalSeconds);
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
      bytesPerStep: timeline.bytes / steps,
      peakMemoryBytes: Object.fromEntries(
        timeline.devices.map(({ device, peakMemoryBytes }) => [device, peakMemoryBytes]),
      ),
      devices: timeline.devices,
      simulatedSteps: steps,
    };
  }
  return best;
}

/** Two where every step drains the pipeline, else enough to see the period; several tasks fill the pipeline within their first step. */
export function stepsToSimulate({ costs, rounds }: SegmentProblem, { tasks, stages }: Placement): number {
  const drains =
    tasks.length === 1 && costs.tasks[costs.taskIndex(tasks[0]!)]!.lowestTrained < stages[0]!.end;
  return Math.min(rounds, drains ? 2 : tasks.length > 1 ? 3 : 4);
}

/** From a few steps to all rounds. */
export function extrapolate(
  { rounds }: SegmentProblem,
  makespanSeconds: number,
  stepEndSeconds: readonly number[],
  boundSeconds: number,
): { stepSeconds: number; totalSeconds: number } {
  const steps = stepEndSeconds.length;
  const last = stepEndSeconds[steps - 1]!;
  const measured =
    steps === 1
      ? makespanSeconds
      : steps === 2
        ? last - stepEndSeconds[0]!
        : (last - stepEndSeconds[steps - 3]!) / 2;
  const stepSeconds = rounds > steps ? Math.max(measured, boundSeconds) : makespanSeconds / steps;
  return { stepSeconds, totalSeconds: makespanSeconds + (rounds - steps) * stepSeconds };
}

/** Whether a device's memory holds its peak, and its storage, or else what memory is left, its part of the activation caches. */
function fitsDevice(
  { costs, cacheBytes }: SegmentProblem,
  { stages, tasks }: Placement,
  { device, peakMemoryBytes }: DeviceUse,
): boolean {
  const { memoryBytes, storageBytes } = costs.cluster.devices[costs.deviceIndex(device)]!;
  let cached = 0;
  for (const { start, end, members } of stages)
    for (const name of tasks) {
      const { lowestTrained } = costs.tasks[costs.taskIndex(name)]!;
      const share = members.find((member) => member.device === device)?.share ?? 0;
      if (lowestTrained >= start && lowestTrained < end) cached += share * (ownValue(cacheBytes, name) ?? 0);
    }
  return storageBytes === undefined
    ? peakMemoryBytes + cached <= memoryBytes
    : peakMemoryBytes <= memoryBytes && cached <= storageBytes;
}

function joulesOf(...[problem, devices, steps, totalSeconds]: Parameters<typeof joulesByDevice>) {
  const joules = joulesByDevice(problem, devices, steps, totalSeconds);
  return joules.length === 0 ? undefined : joules.reduce((sum, [, one]) => sum + one, 0);
}

/**
 * Of each device whose power is known, over all rounds. Busy time grows with the rounds; power when idle is paid for the rest of the time.
 * Unused devices are taken to be off.
 */
export function joulesByDevice(
  { costs, rounds }: SegmentProblem,
  devices: readonly { readonly device: string; readonly busySeconds: number }[],
  steps: number,
  totalSeconds: number,
): [device: string, joules: number][] {
  return devices.flatMap(({ device, busySeconds }): [string, number][] => {
    const { watts, idleWatts = 0 } = costs.cluster.devices[costs.deviceIndex(device)]!;
    if (watts === undefined) return [];
    const busy = (busySeconds / steps) * rounds;
    return [[device, watts * busy + idleWatts * (totalSeconds - busy)]];
  });
}

/** Whether every member holds its layers and one micro-batch; the policies keep to what is left above that. */
export function fitsMemory({ costs, window }: SegmentProblem, placement: Placement): boolean {
  const deal = costs.dealOf(placement);
  return placement.stages.every((stage, stageIndex) =>
    stage.members.every((member, memberIndex) => {
      const most = placement.tasks.map(
        (_, task) => costs.loadsOf(deal[task]![stageIndex]!)[memberIndex]!.most,
      );
      const { parameterBytes, optimizerBytes, bufferBytes } = residentBytes(
        costs,
        placement,
        stageIndex,
        member,
        { window, mostSamples: (task) => most[placement.tasks.indexOf(costs.tasks[task]!.name)]! },
      );
      const activations = Math.max(
        ...placement.tasks.map((name, task) =>
          activationBytes(costs, costs.taskIndex(name), stage, member, most[task]!),
        ),
      );
      const needed = parameterBytes + optimizerBytes + bufferBytes + activations;
      return needed <= costs.devices[costs.deviceIndex(member.device)]!.memoryBytes;
    }),
  );
}
