/**
 * The planner: from workloads and a cluster to waves of tasks, each with placements, policies and a prediction, a lower bound beside it
 * and an explanation.
 */
import { buildSchedule } from '../build-schedule.js';
import { checkInput } from '../check-input.js';
import { checkOptions } from './check-options.js';
import { type Cluster, usableCluster } from '../cluster.js';
import { openCluster } from '../cost-model.js';
import { validateSchedule } from '../passes/validate-schedule.js';
import type { Member, Placement } from '../placement.js';
import { contextGear, contextGearDeep } from '../policies/context-gear.js';
import { peers as allPeers } from '../peers/peers.js';
import type { Strategy } from '../peers/strategy.js';
import type { Objective } from '../search/segment-problem.js';
import type { Workload } from '../workload.js';
import type { ChosenSegment } from './chain-segments.js';
import { type ChosenWaves, chooseWaves } from './choose-waves.js';
import { explainPlan, type Explanation } from './explain.js';
import { requireFeasible, requireFound } from './feasibility.js';
import { planBound } from './plan-bound.js';
import { searchWave, type WaveSearch } from './search-wave.js';
import { wavesOf } from './waves.js';

export interface PlanOptions {
  readonly objective?: Objective;
  /** Numbers of micro-batches to consider; by default powers of two up to the samples of a step, 64 at most (16 for more than 64 devices). */
  readonly microbatches?: readonly number[];
  /** Devices of one stage at most. */
  readonly groupLimit?: number;
  /** Share of every device's memory to leave free. */
  readonly memoryReserve?: number;
  /** Messages a sender may have under way, and a receiver may hold unread, per channel. */
  readonly window?: number;
  /** Whether sibling tasks may train at the same time, in one pipeline or on devices of their own. */
  readonly siblings?: boolean;
  /** Whether the cut may change from step to step. */
  readonly recut?: boolean;
  /** Whether frozen prefixes may be cached after the first epoch. */
  readonly cache?: boolean;
  /** Other strategies to be no worse than; a cheaper one of theirs is taken over and named. */
  readonly peers?: readonly Strategy[];
  /** What the bounded search may simulate, in instructions. */
  readonly budget?: number;
  /** Most devices and layers of the exact search. */
  readonly exactDevices?: number;
  readonly exactLayers?: number;
}

/** A run of equal steps of the same tasks, on the same placement. */
export interface PlannedSegment {
  readonly tasks: readonly string[];
  /** Optimizer steps of each task. */
  readonly rounds: number;
  readonly cache: Readonly<Record<string, 'write' | 'read'>>;
  readonly placement: Placement;
  readonly policy: string;
  /** `ContextGear`, or the peer whose placement was taken over. */
  readonly strategy: string;
  readonly stepSeconds: number;
  readonly totalSeconds: number;
  readonly totalJoules?: number;
  readonly bytesPerStep: number;
  readonly peakMemoryBytes: Readonly<Record<string, number>>;
  /** What must move before it starts. */
  readonly moveBytes: number;
  readonly moveSeconds: number;
  readonly search: 'exact' | 'bounded';
  readonly lowerBoundSeconds: number;
}

/** Lanes run at the same time on devices of their own; a lane's segments follow each other. */
export interface PlannedWave {
  readonly tasks: readonly string[];
  readonly lanes: readonly { readonly segments: readonly PlannedSegment[] }[];
  readonly seconds: number;
}

export interface Plan {
  readonly waves: readonly PlannedWave[];
  readonly totalSeconds: number;
  readonly totalJoules?: number;
  readonly totalBytes: number;
  /** No plan is faster; no plan of whole layers, where this one keeps them whole. */
  readonly lowerBoundSeconds: number;
  /** totalSeconds / lowerBoundSeconds − 1. */
  readonly gap: number;
  readonly search: 'exact' | 'bounded';
  readonly window: number;
  readonly memoryReserve: number;
  readonly explanation: Explanation;
}

/**
 * Plans the training of all workloads.
 *
 * @throws SchedulerInputError listing everything wrong with the input, or by how many bytes the model does not fit and what would help.
 */
export function plan(workloads: readonly Workload[], cluster: Cluster, options: PlanOptions = {}): Plan {
  checkInput(workloads, cluster);
  checkOptions(options);
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
    cluster,
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
