/** The schedule of a planned interval, to simulate, draw or execute. */
import { openCostModel } from '../cost/cost-model.js';
import { peers as allPeers } from '../peers/peers.js';
import type { Strategy } from '../peers/strategy.js';
import { requireOptions } from '../problem/check-options.js';
import { type Check, inputLimits, listOf, show, wholeNumber } from '../problem/check-values.js';
import { type Cluster, usableCluster } from '../problem/cluster.js';
import { clusterInModes } from '../problem/power-modes.js';
import { ownValue } from '../problem/names.js';
import { withCachedPrefix, type Workload } from '../problem/workload.js';
import { buildSchedule } from '../schedule/build-schedule.js';
import type { Pass } from '../schedule/passes/pass.js';
import type { Schedule } from '../schedule/schedule.js';
import type { Policy } from '../schedule/policies/policy.js';
import { policyNamed } from '../schedule/policies/policy-named.js';
import { SchedulerError } from '../scheduler-error.js';
import { contextGearName } from './context-gear-name.js';
import { checkPeer, wholeAboveZero } from './plan-options.js';
import { intervalsOfPlan, type Plan, type PlannedInterval } from './planned.js';

export interface ScheduleOfOptions {
  /** Which of the plan's intervals, counted job by job; the first when absent. */
  readonly interval?: number;
  /** Optimizer steps to lay out; at most the interval's. */
  readonly steps?: number;
  /** The strategies the plan was made with. */
  readonly peers?: readonly Strategy[];
  /** Policies of these strategies that are not the package's own. */
  readonly policies?: readonly Policy[];
}

/**
 * The workloads as the interval runs them (a cached prefix costs nothing), and its schedule: `simulate(schedule, workloads, cluster)`, with
 * the cluster `clusterInModes` where the plan chose modes.
 *
 * @throws SchedulerError when an option is unknown or makes no sense, when the plan has no such interval, or names a task, strategy or policy that is not known here.
 */
export function scheduleOf(
  plan: Plan,
  workloads: readonly Workload[],
  cluster: Cluster,
  options: ScheduleOfOptions = {},
): { schedule: Schedule; workloads: Workload[] } {
  requireOptions(options, 'scheduleOf', {
    interval: wholeNumber(0, Number.MAX_SAFE_INTEGER),
    steps: wholeAboveZero,
    peers: listOf(checkPeer, inputLimits.workloads),
    policies: listOf(checkPolicy, inputLimits.workloads),
  } satisfies Record<keyof ScheduleOfOptions, Check>);
  const { interval: index = 0, steps = 1, peers = allPeers, policies = [] } = options;
  const { jobs, window, memoryReserve, power } = plan;
  const intervals = intervalsOfPlan(plan);
  const interval = intervals[index];
  if (!interval)
    throw new SchedulerError(
      'SCHEDULER_NAME_UNKNOWN',
      'scheduleOf',
      `the plan has ${intervals.length} intervals in ${jobs.length} jobs, got interval ${index}`,
    );
  const { tasks, cache, placement } = interval;
  const active = tasks.map((name) => {
    const workload = workloads.find((candidate) => candidate.name === name);
    if (!workload)
      throw new SchedulerError(
        'SCHEDULER_NAME_UNKNOWN',
        'scheduleOf',
        `the plan trains "${name}", which is none of the workloads; give those that it was made for`,
      );
    return ownValue(cache, name) === 'read' ? withCachedPrefix(workload) : workload;
  });
  const schedule = buildSchedule(
    openCostModel(active, usableCluster(clusterInModes(cluster, power?.modes ?? {}), memoryReserve)),
    [placement],
    {
      policy: policyOf(interval, policies),
      steps: Math.min(steps, interval.steps),
      window,
      cache,
      passes: passesOf(interval, peers),
    },
  );
  return { schedule, workloads: active };
}

const checkPolicy: Check = (policy, path, note) => {
  if (typeof (policy as Partial<Policy> | null)?.order !== 'function')
    note(path, `must be a policy, got ${show(policy)}`);
};

function policyOf({ policy: name }: PlannedInterval, others: readonly Policy[]): Policy {
  const policy = others.find((candidate) => candidate.name === name) ?? policyNamed(name);
  if (policy) return policy;
  throw new SchedulerError(
    'SCHEDULER_NAME_UNKNOWN',
    'scheduleOf',
    `the plan follows the policy "${name}", which is not one of this package; give it in "policies"`,
  );
}

function passesOf({ strategy: name }: PlannedInterval, peers: readonly Strategy[]): readonly Pass[] {
  if (name === contextGearName) return [];
  const strategy = peers.find((candidate) => candidate.name === name);
  if (strategy) return strategy.passes ?? [];
  throw new SchedulerError(
    'SCHEDULER_NAME_UNKNOWN',
    'scheduleOf',
    `the plan has a placement of the strategy "${name}"; give the strategies it was made with in "peers"`,
  );
}
