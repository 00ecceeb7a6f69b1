/** What a strategy needs for a whole set of dependent tasks, in comparable numbers. */
import {
  type Cluster,
  type Objective,
  openCostModel,
  plan,
  type PlanOptions,
  contextGear,
  wavesOf,
  type Workload,
} from '@contextlora/scheduler';
import { type Strategy, tuneStrategy } from '@contextlora/scheduler/peers';

export interface StrategyResult {
  readonly strategy: string;
  readonly totalSeconds: number;
  /** Mean over the tasks' optimizer steps. */
  readonly stepSeconds: number;
  readonly bytes: number;
  readonly joules: number;
  /** On the fullest device. */
  readonly peakMemoryBytes: number;
}

const objective: Objective = 'time';

/** A peer trains wave after wave: siblings in one pipeline if it can, else one task after the other. Undefined when a task does not fit. */
export function runPeer(
  strategy: Strategy,
  workloads: readonly Workload[],
  cluster: Cluster,
): StrategyResult | undefined {
  const byName = new Map(workloads.map((workload) => [workload.name, workload]));
  const groups = wavesOf(workloads).flatMap((wave) =>
    strategy.interleavesTasks ? [wave] : wave.map((name) => [name]),
  );
  // Tasks of equal cost take equal time.
  const known = new Map<string, ReturnType<typeof tuneStrategy>>();
  let totalSeconds = 0;
  let bytes = 0;
  let joules = 0;
  let peakMemoryBytes = 0;
  for (const names of groups) {
    const members = names.map((name) => byName.get(name)!);
    const key = JSON.stringify(members.map(({ layers, samples, steps }) => [layers, samples, steps]));
    if (!known.has(key)) {
      const { samples, steps = 1 } = members[0]!;
      known.set(
        key,
        tuneStrategy(strategy, {
          costs: openCostModel(members, cluster),
          tasks: names,
          steps: steps,
          cache: {},
          cacheBytes: {},
          objective,
          microbatches: divisionsOf(samples),
          window: 2,
          groupLimit: 64,
          policies: [contextGear],
        }),
      );
    }
    const best = known.get(key);
    if (!best) return undefined;
    totalSeconds += best.totalSeconds;
    bytes += best.bytesPerStep * (members[0]!.steps ?? 1);
    joules += best.totalJoules ?? 0;
    peakMemoryBytes = Math.max(peakMemoryBytes, ...Object.values(best.peakMemoryBytes));
  }
  return {
    strategy: strategy.name,
    totalSeconds,
    stepSeconds: totalSeconds / stepsOf(workloads),
    bytes,
    joules,
    peakMemoryBytes,
  };
}

/**
 * Not a system but what anyone could do by hand: every task of a wave on its own device, longest first, each where it ends soonest. It shows
 * how much of a gain comes from that alone.
 */
export function runByHand(
  strategy: Strategy,
  workloads: readonly Workload[],
  cluster: Cluster,
): StrategyResult | undefined {
  const byName = new Map(workloads.map((workload) => [workload.name, workload]));
  const known = new Map<string, StrategyResult | undefined>();
  const alone = (workload: Workload, device: number) => {
    const { layers, samples, steps } = workload;
    const key = JSON.stringify([device, layers, samples, steps]);
    if (!known.has(key)) {
      const single: Cluster = { devices: [cluster.devices[device]!], links: [] };
      known.set(key, runPeer(strategy, [{ ...workload, dependsOn: [] }], single));
    }
    return known.get(key);
  };
  let totalSeconds = 0;
  let joules = 0;
  let peakMemoryBytes = 0;
  for (const wave of wavesOf(workloads)) {
    const ends = cluster.devices.map(() => 0);
    for (const name of wave) {
      let soonest: { device: number; result: StrategyResult } | undefined;
      for (const device of cluster.devices.keys()) {
        const result = alone(byName.get(name)!, device);
        if (!result) continue;
        const end = ends[device]! + result.totalSeconds;
        if (!soonest || end < ends[soonest.device]! + soonest.result.totalSeconds)
          soonest = { device, result };
      }
      if (!soonest) return undefined;
      ends[soonest.device]! += soonest.result.totalSeconds;
      joules += soonest.result.joules;
      peakMemoryBytes = Math.max(peakMemoryBytes, soonest.result.peakMemoryBytes);
    }
    totalSeconds += Math.max(...ends);
  }
  return {
    strategy: 'one device per task, by hand',
    totalSeconds,
    stepSeconds: totalSeconds / stepsOf(workloads),
    bytes: 0,
    joules,
    peakMemoryBytes,
  };
}

export function runContextGear(
  name: string,
  workloads: readonly Workload[],
  cluster: Cluster,
  options: PlanOptions = {},
): StrategyResult {
  const planned = plan(workloads, cluster, { objective, ...options });
  const intervals = planned.jobs.flatMap(({ intervals: parts }) => parts);
  return {
    strategy: name,
    totalSeconds: planned.totalSeconds,
    stepSeconds: planned.totalSeconds / stepsOf(workloads),
    bytes: planned.totalBytes,
    joules: planned.totalJoules ?? 0,
    peakMemoryBytes: Math.max(...intervals.flatMap((interval) => Object.values(interval.peakMemoryBytes))),
  };
}

const stepsOf = (workloads: readonly Workload[]): number =>
  workloads.reduce((sum, { steps = 1 }) => sum + steps, 0);

function divisionsOf(samples: number): number[] {
  const divisions = [];
  for (let count = 1; count < samples; count *= 2) divisions.push(count);
  return [...divisions, samples];
}
