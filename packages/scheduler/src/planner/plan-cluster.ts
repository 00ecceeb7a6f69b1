/** Plans a cluster whose devices all run as their profiles say. */
import { buildSchedule } from '../schedule/build-schedule.js';
import { type Cluster, usableCluster } from '../problem/cluster.js';
import { openCluster } from '../cost/cost-model.js';
import { validateSchedule } from '../schedule/validate/validate-schedule.js';
import type { Member } from '../schedule/placement.js';
import { contextGear, contextGearDeep } from '../schedule/policies/context-gear.js';
import { peers as allPeers } from '../peers/peers.js';
import { joulesByDevice } from '../search/assess-placement.js';
import type { Workload } from '../problem/workload.js';
import type { ChosenSegment } from './chain-intervals.js';
import { type ChosenWaves, chooseWaves } from './choose-waves.js';
import { explainPlan } from './explain.js';
import { requireFeasible, requireFound } from './feasibility.js';
import type { Plan, PlannedSegment, PlannedWave, PlanOptions } from './plan.js';
import { planBound } from './plan-bound.js';
import { searchWave, type WaveSearch } from './search-wave.js';
import { wavesOf } from './waves.js';

/** @throws SchedulerInputError by how many bytes the model does not fit and what would help. */
export function planCluster(workloads: readonly Workload[], cluster: Cluster, options: PlanOptions): Plan {
  const {
    objective = 'time',
    microbatches,
    groupLimit = 64,
    memoryReserve = 0,
    window = 2,
    siblings = true,
    recut = true,
    cache = true,
    peers = allPeers,
    budget = 200_000,
    exactDevices = 6,
    exactLayers = 10,
  } = options;
  const usable = usableCluster(cluster, memoryReserve);
  requireFeasible(workloads, usable);
  const search: WaveSearch = {
    opened: openCluster(usable),
    settings: {
      objective,
      microbatches,
      window,
      groupLimit,
      // Two orders of every candidate are twice the work; the deep one is seldom the worse.
      policies: cluster.devices.length > 64 ? [contextGearDeep] : [contextGear, contextGearDeep],
    },
    // A placement of many devices costs more to play, and a plan has many segments to place.
    options: { budget: usable.devices.length > 64 ? budget / 8 : budget, exactDevices, exactLayers },
    peers,
    cache,
    memory: new Map(),
  };
  const byName = new Map(workloads.map((workload) => [workload.name, workload]));
  const ways = wavesOf(workloads).flatMap((names) => {
    const members = names.map((name) => byName.get(name)!);
    return siblings
      ? [searchWave(search, members)]
      : members.map((workload) => searchWave(search, [workload]));
  });
  requireFound(ways, workloads, usable, search);
  const chosen = chooseWaves(ways, objective, recut);
  return describe(workloads, usable, chosen, { window, memoryReserve, search });
}

function describe(
  workloads: readonly Workload[],
  cluster: Cluster,
  { chain, rejected }: ChosenWaves,
  { window, memoryReserve, search }: { window: number; memoryReserve: number; search: WaveSearch },
): Plan {
  for (const { lanes } of chain.waves)
    for (const lane of lanes) for (const segment of lane) requireValid(segment, window);
  const waves = chain.waves.map(({ option, lanes }): PlannedWave => {
    const planned = lanes.map((segments) => ({
      segments: segments.map(({ node, assessment, move }): PlannedSegment => ({
        tasks: node.problem.tasks,
        rounds: node.problem.rounds,
        cache: node.problem.cache,
        placement: assessment.placement,
        policy: assessment.policy.name,
        strategy: assessment.strategy,
        stepSeconds: assessment.stepSeconds,
        totalSeconds: assessment.totalSeconds,
        ...(assessment.totalJoules === undefined ? {} : { totalJoules: assessment.totalJoules }),
        bytesPerStep: assessment.bytesPerStep,
        joulesByDevice: Object.fromEntries(
          joulesByDevice(
            node.problem,
            assessment.devices,
            assessment.simulatedSteps,
            assessment.totalSeconds,
          ),
        ),
        peakMemoryBytes: assessment.peakMemoryBytes,
        moveBytes: move.bytes,
        moveSeconds: move.seconds,
        search: node.search,
        lowerBoundSeconds: node.bound.stepSeconds * node.problem.rounds,
      })),
    }));
    return {
      tasks: option.tasks,
      lanes: planned,
      seconds: Math.max(
        ...planned.map(({ segments }) =>
          segments.reduce((sum, one) => sum + one.totalSeconds + one.moveSeconds, 0),
        ),
      ),
    };
  });
  const segments = waves.flatMap(({ lanes }) => lanes.flatMap((lane) => lane.segments));
  const joules = segments.flatMap(({ totalJoules }) => (totalJoules === undefined ? [] : [totalJoules]));
  const totalSeconds = waves.reduce((sum, wave) => sum + wave.seconds, 0);
  const lowerBoundSeconds = planBound(
    workloads,
    search,
    segments.every(({ placement }) => placement.stages.every(({ members }) => members.every(isWhole))),
  );
  return {
    waves,
    totalSeconds,
    ...(joules.length === 0 ? {} : { totalJoules: joules.reduce((a, b) => a + b, 0) }),
    totalBytes: segments.reduce((sum, one) => sum + one.bytesPerStep * one.rounds + one.moveBytes, 0),
    lowerBoundSeconds,
    gap: lowerBoundSeconds > 0 ? totalSeconds / lowerBoundSeconds - 1 : 0,
    search: segments.every((segment) => segment.search === 'exact') ? 'exact' : 'bounded',
    window,
    memoryReserve,
    explanation: explainPlan(cluster, chain, rejected),
  };
}

/** A plan's schedules are checked as finished wholes; a problem here is a bug of a policy, a pass or the search. */
function requireValid({ node: { problem }, assessment }: ChosenSegment, window: number): void {
  const { policy, placement, passes } = assessment;
  const schedule = buildSchedule(problem.costs, [placement], {
    policy,
    passes,
    window,
    steps: Math.min(2, problem.rounds),
    cache: problem.cache,
  });
  const problems = validateSchedule(problem.costs, schedule);
  if (problems.length > 0)
    throw new Error(
      `internal: scheduler/plan: ${assessment.strategy} made a schedule in which ${problems.join('; ')}`,
    );
}

const isWhole = ({ work = 1, parameters = 1 }: Member): boolean => work === 1 && parameters === 1;
