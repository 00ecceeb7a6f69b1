/** Why a plan is as it is: what binds it, how every device spends its time, why a device is not used, what else was considered. */
import { layerStates } from '../cost/memory.js';
import type { Cluster } from '../problem/cluster.js';
import type { Placement } from '../schedule/placement.js';
import { assessPlacement } from '../search/assess-placement.js';
import { effortFor, limits } from '../search/effort.js';
import { type PeriodBound, periodBound } from '../search/period-bound.js';
import { shareSamples } from '../search/share-samples.js';
import type { IdleCause } from '../simulate/timeline.js';
import type { Chain, ChosenInterval } from './chain-intervals.js';
import type { RejectedArrangement } from './choose-waves.js';

export interface DeviceExplanation {
  readonly device: string;
  readonly idleFraction: number;
  /** Where most of the idle time comes from; absent when there is none. */
  readonly mainCause?: IdleCause;
}

export interface UnusedDevice {
  readonly device: string;
  readonly reason:
    | 'memory' // it cannot hold even the lightest layer
    | 'unreachable' // no link leads to the devices that are used
    | 'slower'; // the best placement found with it takes longer
  /** Of the best placement with it, against the chosen one's 1; below 1 where moving to it costs more than it saves. */
  readonly ratio?: number;
}

export interface JobExplanation {
  readonly tasks: readonly string[];
  /** What bounds every schedule of its longest interval's placement, and how close this schedule comes to it (1 when it is reached). */
  readonly binding: PeriodBound['binding'] & { readonly reached: number };
  readonly devices: readonly DeviceExplanation[];
  /** Best rejected placements, and what they would cost against the chosen one's 1; below 1 where moving to them costs more than they save. */
  readonly rejected: readonly { readonly placement: Placement; readonly ratio: number }[];
}

export interface Explanation {
  /** Jobs (their tasks joined by "+") that follow each other until the end of the run. */
  readonly criticalPath: readonly string[];
  readonly jobs: readonly JobExplanation[];
  readonly unused: readonly UnusedDevice[];
}

export function explainPlan(
  cluster: Cluster,
  chain: Chain,
  rejectedArrangements: Explanation['waves'],
): Explanation {
  return {
    waves: rejectedArrangements,
    intervals: chain.waves.flatMap(({ lanes }) =>
      lanes.flatMap((lane) =>
        lane.map((interval): IntervalExplanation => {
          const { problem } = interval.node;
          const { placement, stepSeconds, value } = interval.assessment;
          const bound = periodBound(problem, placement);
          return {
            tasks: problem.tasks,
            binding: { ...bound.binding, reached: bound.seconds / stepSeconds },
            devices: interval.assessment.devices.map(({ device, idleFraction, idleSeconds }) => {
              const [cause, seconds] = Object.entries(idleSeconds).reduce((a, b) => (b[1] > a[1] ? b : a));
              return { device, idleFraction, ...(seconds > 0 ? { mainCause: cause as IdleCause } : {}) };
            }),
            // Lanes divide the devices among themselves, so a device may be missing in each of them.
            unused: lanes.length > 1 ? [] : unusedOf(cluster, interval),
            rejected: interval.rejected.slice(0, limits.rejected).map((rejection) => ({
              placement: rejection.placement,
              ratio: rejection.value / value,
            })),
          };
        }),
      ),
    ),
  };
}

function unusedOf(cluster: Cluster, { node, assessment, rejected }: ChosenInterval): UnusedDevice[] {
  const { costs } = node.problem;
  const { stages } = assessment.placement;
  const used = stages.flatMap(({ members }) => members.map(({ device }) => device));
  const idleOf = (index: number) =>
    Math.min(
      ...assessment.devices
        .filter(({ device }) => stages[index]!.members.some((member) => member.device === device))
        .map(({ idleFraction }) => idleFraction),
    );
  const busiest = [...stages.keys()].sort((a, b) => idleOf(a) - idleOf(b)).slice(0, limits.askedStages);
  const unused = cluster.devices.filter(({ id }) => !used.includes(id));
  const lightest = Math.min(
    ...layerStates(costs.tasks, costs.layerCount).map(({ parameterBytes }) => parameterBytes),
  );
  const { asksUnused } = effortFor(cluster.devices.length);
  return unused.map(({ id, memoryBytes }, position): UnusedDevice => {
    const device = costs.deviceIndex(id);
    if (lightest > memoryBytes) return { device: id, reason: 'memory' };
    if (!used.some((other) => costs.routes.route(device, costs.deviceIndex(other))))
      return { device: id, reason: 'unreachable' };
    const uses = (placement: Placement) =>
      placement.stages.some(({ members }) => members.some((member) => member.device === id));
    let best = Math.min(
      ...rejected.filter((rejection) => uses(rejection.placement)).map(({ value }) => value),
      Infinity,
    );
    if (position < limits.askedDevices && asksUnused)
      for (const index of busiest) {
        const { start, end, members } = stages[index]!;
        const group = [...members.map((member) => costs.deviceIndex(member.device)), device];
        const shared = shareSamples(node.problem, { start, end }, group, assessment.placement.microbatches);
        if (!shared) continue;
        const widened = stages.map((stage, at) => (at === index ? { start, end, members: shared } : stage));
        const found = assessPlacement(node.problem, { ...assessment.placement, stages: widened });
        if (found) best = Math.min(best, found.value);
      }
    return { device: id, reason: 'slower', ...(best < Infinity ? { ratio: best / assessment.value } : {}) };
  });
}
