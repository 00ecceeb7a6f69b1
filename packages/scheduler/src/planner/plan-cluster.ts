/** Plans a cluster whose devices all run as their profiles say. */
import { buildSchedule } from '../schedule/build-schedule.js';
import { type Cluster, usableCluster } from '../problem/cluster.js';
import { openCluster } from '../cost/cluster-costs.js';
import { openCostModel } from '../cost/cost-model.js';
import { validateSchedule } from '../schedule/validate/validate-schedule.js';
import type { Member } from '../schedule/placement.js';
import { contextGear, contextGearDeep } from '../schedule/policies/context-gear.js';
import { peers as allPeers } from '../peers/peers.js';
import { joulesByDevice } from '../search/assess-placement.js';
import { effortFor, limits } from '../search/effort.js';
import type { Workload } from '../problem/workload.js';
import type { ChosenInterval } from './chain-intervals.js';
import { chooseWaves, type ChosenWaves } from './choose-waves.js';
import { explainPlan } from './explain.js';
import { requireFeasible, requireFound } from './feasibility.js';
import { intervalsOfPlan, type Plan, type PlannedInterval, type PlannedWave } from './planned.js';
import type { PlanOptions } from './plan-options.js';
import { planBound } from './plan-bound.js';
import { searchWave, type WaveSearch } from './search-wave.js';
import { wavesOf } from './waves.js';

/** @throws SchedulerError that says by how many bytes the model does not fit and what would help. */
export function planCluster(workloads: readonly Workload[], cluster: Cluster, options: PlanOptions): Plan {
  const {
    objective = 'time',
    microbatches,
    groupLimit = limits.group,
    memoryReserve = 0,
    window = 2,
    siblings = true,
    recut = true,
    cache = true,
    peers = allPeers,
    budget = limits.budget,
    exactDevices = limits.exactDevices,
    exactLayers = limits.exactLayersInPlan,
  } = options;
  const usable = usableCluster(cluster, memoryReserve);
  const opened = openCluster(usable);
  requireFeasible(workloads, openCostModel(workloads, usable, opened));
  const { orders, budgetShare } = effortFor(usable.devices.length);
  const search: WaveSearch = {
    opened,
    settings: {
      objective,
      microbatches,
      window,
      groupLimit,
      policies: [contextGear, contextGearDeep].slice(-orders),
    },
    options: { budget: budget * budgetShare, exactDevices, exactLayers },
    peers,
    cache,
    memory: new Map(),
  };
  const byName = new Map(workloads.map((workload) => [workload.name, workload]));
  const arrangements = wavesOf(workloads).flatMap((names) => {
    const members = names.map((name) => byName.get(name)!);
    return siblings
      ? [searchWave(search, members)]
      : members.map((workload) => searchWave(search, [workload]));
  });
  requireFound(arrangements, workloads, usable, search);
  const chosen = chooseWaves(arrangements, objective, recut);
  return planOf(workloads, usable, chosen, { window, memoryReserve, search });
}

function planOf(
  workloads: readonly Workload[],
  cluster: Cluster,
  { chain, rejected }: ChosenWaves,
  { window, memoryReserve, search }: { window: number; memoryReserve: number; search: WaveSearch },
): Plan {
  for (const { lanes } of chain.waves)
    for (const lane of lanes) for (const interval of lane) requireValid(interval, window);
  const waves = chain.waves.map(({ option, lanes }): PlannedWave => {
    const planned = lanes.map((intervals) => ({
      intervals: intervals.map(plannedInterval),
    }));
    return {
      tasks: option.tasks,
      lanes: planned,
      seconds: Math.max(
        ...planned.map(({ intervals }) =>
          intervals.reduce((sum, interval) => sum + interval.totalSeconds + interval.moveSeconds, 0),
        ),
      ),
    };
  });
  const intervals = intervalsOfPlan({ waves });
  const joules = intervals.flatMap(({ totalJoules }) => (totalJoules === undefined ? [] : [totalJoules]));
  const totalSeconds = waves.reduce((sum, wave) => sum + wave.seconds, 0);
  const lowerBoundSeconds = planBound(
    workloads,
    search,
    intervals.every(({ placement }) => placement.stages.every(({ members }) => members.every(isWhole))),
  );
  return {
    waves,
    totalSeconds,
    ...(joules.length === 0 ? {} : { totalJoules: joules.reduce((a, b) => a + b, 0) }),
    totalBytes: intervals.reduce(
      (sum, interval) => sum + interval.bytesPerStep * interval.steps + interval.moveBytes,
      0,
    ),
    lowerBoundSeconds,
    gap: lowerBoundSeconds > 0 ? totalSeconds / lowerBoundSeconds - 1 : 0,
    search: intervals.every((interval) => interval.search === 'exact') ? 'exact' : 'bounded',
    window,
    memoryReserve,
    explanation: explainPlan(cluster, chain, rejected),
  };
}

function plannedInterval({ node, assessment, move }: ChosenInterval): PlannedInterval {
  const { tasks, steps, cache } = node.problem;
  const { devices, simulatedSteps, totalSeconds, totalJoules } = assessment;
  return {
    tasks,
    steps,
    cache,
    placement: assessment.placement,
    policy: assessment.policy.name,
    strategy: assessment.strategy,
    stepSeconds: assessment.stepSeconds,
    totalSeconds,
    ...(totalJoules === undefined ? {} : { totalJoules }),
    bytesPerStep: assessment.bytesPerStep,
    joulesByDevice: Object.fromEntries(joulesByDevice(node.problem, devices, simulatedSteps, totalSeconds)),
    peakMemoryBytes: assessment.peakMemoryBytes,
    moveBytes: move.bytes,
    moveSeconds: move.seconds,
    search: node.search,
    lowerBoundSeconds: node.bound.stepSeconds * steps,
  };
}

/** Checks the finished schedule; a problem here is a bug of a policy, a pass or the search. */
function requireValid({ node: { problem }, assessment }: ChosenInterval, window: number): void {
  const { policy, placement, passes } = assessment;
  const schedule = buildSchedule(problem.costs, [placement], {
    policy,
    passes,
    window,
    steps: Math.min(2, problem.steps),
    cache: problem.cache,
  });
  const problems = validateSchedule(problem.costs, schedule);
  if (problems.length > 0)
    throw new Error(
      `internal: scheduler/plan: ${assessment.strategy} made a schedule in which ${problems.join('; ')}`,
    );
}

const isWhole = ({ work = 1, parameters = 1 }: Member): boolean => work === 1 && parameters === 1;
