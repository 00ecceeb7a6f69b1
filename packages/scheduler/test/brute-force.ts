/**
 * The best of everything, by trying everything: every ordered set of disjoint groups, every order and every whole-sample share in them,
 * every cut, number of micro-batches and depth; and of a run, every order of its jobs. It shares nothing with the search but the simulator.
 */
import {
  buildSchedule,
  type Cluster,
  type ComputeStep,
  type DeviceUse,
  type IntervalProblem,
  listSchedule,
  openCostModel,
  type Placement,
  type Policy,
  SchedulerError,
  simulateWith,
  type Stage,
  type TaskCosts,
  type Workload,
} from '@contextlora/scheduler';

export interface Best {
  readonly value: number;
  readonly placement: Placement;
  readonly policy: string;
}

/** Of at most two steps, which the search simulates rather than extrapolates. */
export function tryEverything(problem: IntervalProblem): Best | undefined {
  let best: Best | undefined;
  for (const one of everyWorth(problem, () => best?.value ?? Infinity))
    if (one.value < (best?.value ?? Infinity)) best = one;
  return best;
}

/** Every placement that fits with every policy; placements on which one device alone computes for as long as `mark` are left out. */
export function* everyWorth(problem: IntervalProblem, mark = () => Infinity): Generator<Best> {
  for (const placement of everyPlacement(problem))
    for (const policy of everyPolicy(problem, placement)) {
      if (computing(problem, placement) >= mark()) break;
      const value = worthOf(problem, placement, policy);
      if (value < Infinity) yield { value, placement, policy: policy.name };
    }
}

/** One interval of all steps of siblings on some devices. */
export function intervalOf(
  workloads: readonly Workload[],
  cluster: Cluster,
  devices: Cluster['devices'],
): IntervalProblem {
  const ids = new Set(['*', ...devices.map(({ id }) => id)]);
  const links = cluster.links.filter(({ from, to }) => ids.has(from) && ids.has(to));
  return {
    costs: openCostModel(workloads, { devices, links }),
    tasks: workloads.map(({ name }) => name),
    steps: workloads[0]!.steps ?? 1,
    cache: {},
    cacheBytes: {},
    objective: 'time',
    microbatches: [1],
    anyMicrobatches: true,
    window: 2,
    groupLimit: 64,
    policies: [],
  };
}

/**
 * Seconds of the fastest run: every division of the tasks into jobs of siblings of equal steps, every job on every set of devices in its best
 * placement and order of its tasks, in every order. Nothing is fetched, and nobody waits for another's air.
 */
export function fastestRun(workloads: readonly Workload[], cluster: Cluster): number {
  const { devices } = cluster;
  const parents = new Map(workloads.map(({ name, dependsOn = [] }) => [name, dependsOn]));
  const ancestors = (name: string): string[] =>
    parents.get(name)!.flatMap((parent) => [parent, ...ancestors(parent)]);
  const jobs = subsets(workloads).filter(
    ([first, ...others]) =>
      others.every(({ steps }) => steps === first!.steps) &&
      [first!, ...others].every(({ name }) =>
        [first!, ...others].every((other) => !ancestors(name).includes(other.name)),
      ),
  );
  const sets = subsets([...devices.keys()]);
  const options = jobs.flatMap((job) =>
    sets.flatMap((set) => {
      const members = set.map((device) => devices[device]!);
      const found = [...sequences(job)]
        .filter((order) => order.length === job.length)
        .map((order) => tryEverything(intervalOf(order, cluster, members))?.value ?? Infinity);
      const seconds = Math.min(...found);
      return seconds === Infinity ? [] : [{ names: job.map(({ name }) => name), set, seconds }];
    }),
  );
  let best = Infinity;
  const place = (ends: ReadonlyMap<string, number>, free: readonly number[]): void => {
    if (ends.size === workloads.length) best = Math.min(best, ...[Math.max(...ends.values())]);
    for (const { names, set, seconds } of options) {
      const waits = names.flatMap((name) => parents.get(name)!);
      if (names.some((name) => ends.has(name)) || !waits.every((name) => ends.has(name))) continue;
      const start = Math.max(
        0,
        ...waits.map((name) => ends.get(name)!),
        ...set.map((device) => free[device]!),
      );
      const end = start + seconds;
      if (end >= best) continue;
      place(
        new Map([...ends, ...names.map((name) => [name, end] as const)]),
        free.map((time, device) => (set.includes(device) ? end : time)),
      );
    }
  };
  place(
    new Map(),
    devices.map(() => 0),
  );
  return best;
}

const subsets = <T>(items: readonly T[]): T[][] =>
  items.reduce<T[][]>((all, item) => [...all, ...all.map((some) => [...some, item])], [[]]).slice(1);

/** Seconds of the device that computes longest, however its work is ordered. */
function computing({ costs, steps, objective }: IntervalProblem, { stages }: Placement): number {
  if (objective !== 'time') return 0;
  const seconds = ({ device, share }: Stage['members'][number], start: number, end: number) =>
    costs.tasks.reduce((sum, { samples, sums }) => {
      const { forwardRate, inputRate, weightRate } = costs.deviceNamed(device);
      const flops = (of: 'forwardFlops' | 'inputFlops' | 'weightFlops') => sums[of][end]! - sums[of][start]!;
      // Of tasks with fewer samples a share is rounded.
      return (
        sum +
        Math.floor(samples * share + 1e-9) *
          (flops('forwardFlops') / forwardRate +
            flops('inputFlops') / inputRate +
            flops('weightFlops') / weightRate)
      );
    }, 0);
  return (
    steps *
    (1 - 1e-9) *
    Math.max(...stages.flatMap(({ start, end, members }) => members.map((one) => seconds(one, start, end))))
  );
}

function worthOf(
  { costs, steps, window, cache, objective }: IntervalProblem,
  placement: Placement,
  policy: Policy,
): number {
  try {
    const schedule = buildSchedule(costs, [placement], { policy, steps, window, cache });
    const { makespanSeconds, devices, joules = 0 } = simulateWith(costs, schedule, { spans: false });
    const fits = ({ device, peakMemoryBytes }: DeviceUse) =>
      peakMemoryBytes <= costs.deviceNamed(device).memoryBytes;
    if (!devices.every(fits)) return Infinity;
    if (objective === 'time') return makespanSeconds;
    if (objective === 'energy') return joules;
    return objective.secondsWeight * makespanSeconds + objective.joulesWeight * joules;
  } catch (error) {
    // Devices that wait for each other for ever, or cannot reach each other.
    if (error instanceof SchedulerError) return Infinity;
    throw error;
  }
}

function* everyPlacement({
  costs,
  tasks,
  groupLimit,
  microbatches,
  anyMicrobatches,
}: IntervalProblem): Generator<Placement> {
  const samples = Math.max(...costs.tasks.map((task) => task.samples));
  const fewest = Math.min(...costs.tasks.map((task) => task.samples));
  const divisions = anyMicrobatches ? Array.from({ length: fewest }, (_, index) => index + 1) : microbatches;
  const ids = costs.devices.map(({ id }) => id);
  const layers = costs.layerCount;
  const stagesFrom = function* (start: number, unused: readonly string[]): Generator<Stage[]> {
    if (start === layers) yield [];
    else
      for (const group of sequences(unused))
        if (group.length <= Math.min(groupLimit, samples))
          for (let end = start + 1; end <= layers; end++)
            for (const counts of compositions(samples, group.length))
              for (const rest of stagesFrom(
                end,
                unused.filter((id) => !group.includes(id)),
              ))
                yield [
                  {
                    start,
                    end,
                    members: group.map((device, index) => ({ device, share: counts[index]! / samples })),
                  },
                  ...rest,
                ];
  };
  for (const stages of stagesFrom(0, ids))
    for (const count of divisions) yield { tasks, microbatches: count, stages };
}

/** Every ordered choice of one or more. */
function* sequences<T>(items: readonly T[]): Generator<T[]> {
  for (const item of items) {
    yield [item];
    for (const rest of sequences(items.filter((other) => other !== item))) yield [item, ...rest];
  }
}

/** All ways to write a number as a sum of so many whole numbers above 0, in order. */
function* compositions(total: number, parts: number): Generator<number[]> {
  if (parts === 1) yield [total];
  else
    for (let first = 1; first <= total - parts + 1; first++)
      for (const rest of compositions(total - first, parts - 1)) yield [first, ...rest];
}

/** Both kinds of order, at every depth of every stage; alternating orders of one task only. */
function* everyPolicy(
  { costs }: IntervalProblem,
  { stages, microbatches, tasks }: Placement,
): Generator<Policy> {
  const most = microbatches * tasks.length;
  const depths = function* (stage: number): Generator<number[]> {
    if (stage === stages.length) yield [];
    else
      for (let depth = 1; depth <= most; depth++)
        for (const rest of depths(stage + 1)) yield [depth, ...rest];
  };
  for (const each of depths(0)) {
    yield {
      name: `up to ${each.join()} in flight`,
      fusedBackward: false,
      order: (context) =>
        listSchedule(context, {
          inFlight: (distance) => each[stages.length - 1 - distance]!,
          fusedBackward: false,
        }),
    };
    if (tasks.length === 1)
      yield {
        name: `${each.join()} forwards first`,
        fusedBackward: false,
        order: ({ steps }) =>
          stages.map((stage, index) =>
            stage.members.map(() =>
              alternate(stage, costs.taskNamed(tasks[0]!), { depth: each[index]!, microbatches, steps }),
            ),
          ),
      };
  }
}

function alternate(
  { start, end }: Stage,
  { lowestTrained, sums }: TaskCosts,
  { depth, microbatches, steps }: { depth: number; microbatches: number; steps: number },
): ComputeStep[] {
  const owes = end > lowestTrained;
  const trains = sums.weightFlops[end]! > sums.weightFlops[start]!;
  const order: ComputeStep[] = [];
  for (let step = 0; step < steps; step++) {
    let forwards = 0;
    let backwards = 0;
    const forward = () => order.push({ type: 'forward', task: 0, step, microbatch: forwards++ });
    while (forwards < (owes ? depth : microbatches)) forward();
    while (owes && backwards < microbatches) {
      const one = { task: 0, step, microbatch: backwards++ };
      order.push({ type: 'backwardInput', ...one });
      if (trains) order.push({ type: 'backwardWeight', ...one });
      if (forwards < microbatches) forward();
    }
  }
  return order;
}
