/**
 * A balance as a careful user would give it: how many layers each device of a pipeline gets, in any order of any of the devices.
 *
 * All of them where they are few; else for each order the cuts after which the slowest stage or message is quickest, the most promising
 * of them, which a comparison then improves one layer at a time.
 */
import { boundaryBytes } from '../cost/task-costs.js';
import type { Placement } from '../schedule/placement.js';
import { sumMemory } from '../search/bottleneck-search.js';
import { deviceWork } from '../search/device-work.js';
import { limits } from '../search/effort.js';
import type { IntervalProblem } from '../search/interval-problem.js';
import { boundValue } from '../search/period-bound.js';
import { countsUpTo, deviceOrders, pipelineOf, quickestCuts } from './splits.js';

export function* balancesByHand(
  problem: IntervalProblem,
  { thorough, replicas: most }: { readonly thorough: boolean; readonly replicas: number },
): Generator<Placement> {
  const { layerCount, devices } = problem.costs;
  const { inPlan, inComparison, orders: orderLimit } = limits.handBalances;
  const balances = countBalances(devices.length, layerCount);
  if (balances <= (thorough ? inComparison : inPlan)) {
    for (const order of ordersOf([...devices.keys()]))
      for (const cuts of cutsInto(order.length, 0, layerCount))
        yield* inAllDivisions(problem, cuts, order, 1);
    return;
  }
  const every = thorough && countBalances(devices.length, Infinity) <= orderLimit;
  const secondsOn = stagePrices(problem);
  for (let replicas = 1; replicas <= Math.min(most, devices.length); replicas++) {
    const orders =
      every && replicas === 1
        ? [...ordersOf([...devices.keys()])]
        : deviceOrders(problem).flatMap((all) =>
            countsUpTo(Math.floor(all.length / replicas)).map((stages) => all.slice(0, stages * replicas)),
          );
    for (const stages of new Set(orders.map(({ length }) => length / replicas))) {
      const placements = orders
        .filter(({ length }) => length === stages * replicas)
        .flatMap((order) => {
          const cuts = quickestCuts(layerCount, stages, secondsOn(order, replicas));
          return cuts ? [...inAllDivisions(problem, cuts, order, replicas)] : [];
        });
      for (const microbatches of problem.microbatches)
        yield* mostPromising(
          problem,
          placements.filter((placement) => placement.microbatches === microbatches),
          limits.handKept,
        );
    }
  }
}

/** The balance with any of its cuts moved by a layer, with two stages' devices exchanged, or in another number of micro-batches. */
export function* balancesNear(
  problem: IntervalProblem,
  { stages, ...placement }: Placement,
): Generator<Placement> {
  const ends = stages.map(({ end }) => end);
  for (const cuts of cutsNear(ends, 0))
    yield {
      ...placement,
      stages: stages.map((stage, at) => ({ ...stage, start: at === 0 ? 0 : cuts[at - 1]!, end: cuts[at]! })),
    };
  for (const [a, first] of stages.entries())
    for (const [b, second] of stages.slice(0, a).entries())
      yield {
        ...placement,
        stages: stages
          .with(a, { ...first, members: second.members })
          .with(b, { ...second, members: first.members }),
      };
  for (const microbatches of problem.microbatches)
    if (microbatches !== placement.microbatches) yield { ...placement, stages, microbatches };
}

function* cutsNear(ends: readonly number[], start: number): Generator<number[]> {
  const [end, ...above] = ends;
  if (end === undefined) return;
  if (above.length === 0) yield [end];
  else
    for (const cut of [end - 1, end, end + 1])
      if (cut > start) for (const rest of cutsNear(above, cut)) if (rest[0]! > cut) yield [cut, ...rest];
}

const mostPromising = (
  problem: IntervalProblem,
  placements: readonly Placement[],
  most: number,
): Placement[] =>
  placements
    .map((placement) => ({ placement, bound: boundValue(problem, placement) }))
    .sort((a, b) => a.bound - b.bound)
    .slice(0, most)
    .map(({ placement }) => placement);

function* inAllDivisions(
  problem: IntervalProblem,
  cuts: readonly number[],
  order: readonly number[],
  replicas: number,
): Generator<Placement> {
  const groups = cuts.map((_, stage) => order.slice(stage * replicas, (stage + 1) * replicas));
  for (const microbatches of problem.microbatches) yield pipelineOf(problem, cuts, groups, microbatches);
}

/** Seconds of a step on a stage of equal replicas, or of its messages to the next; Infinity where it does not fit in the finest division. */
function stagePrices(
  problem: IntervalProblem,
): (order: readonly number[], replicas: number) => (part: number, start: number, end: number) => number {
  const { costs } = problem;
  const { flops, average } = deviceWork(problem);
  const tasks = problem.tasks.map(costs.taskNamed);
  const { resident, activations } = sumMemory(tasks, costs.layerCount);
  const microbatches = Math.max(...problem.microbatches);
  const sent = Array.from({ length: costs.layerCount }, (_, layer) =>
    tasks.reduce((sum, task) => sum + boundaryBytes(task, layer + 1) * task.samples, 0),
  );
  return (order, replicas) => {
    const stages = Array.from({ length: order.length / replicas }, (_, part) => {
      const group = order.slice(part * replicas, (part + 1) * replicas);
      const next = order[(part + 1) * replicas];
      return {
        rate: replicas * Math.min(...group.map((device) => average[device]!)),
        memoryBytes: Math.min(...group.map((device) => costs.devices[device]!.memoryBytes)),
        kept: (order.length / replicas - part) / (microbatches * replicas),
        bytesPerSecond: next === undefined ? Infinity : costs.routes.route(group[0]!, next)?.bytesPerSecond,
      };
    });
    return (part, start, end) => {
      const { rate, memoryBytes, kept, bytesPerSecond = 0 } = stages[part]!;
      const held = resident[end]! - resident[start]! + kept * (activations[end]! - activations[start]!);
      if (held > memoryBytes) return Infinity;
      return Math.max((flops[end]! - flops[start]!) / rate, sent[end - 1]! / bytesPerSecond);
    };
  };
}

/** All ways to cut layers from `start` on into so many stages. */
function* cutsInto(stages: number, start: number, layers: number): Generator<number[]> {
  if (stages === 1) {
    if (start < layers) yield [layers];
    return;
  }
  for (let cut = start + 1; cut <= layers - (stages - 1); cut++)
    for (const rest of cutsInto(stages - 1, cut, layers)) yield [cut, ...rest];
}

/** All orders of some of the devices. */
function* ordersOf(devices: readonly number[]): Generator<number[]> {
  for (const first of devices) {
    yield [first];
    for (const rest of ordersOf(devices.filter((device) => device !== first))) yield [first, ...rest];
  }
}

/** Orders of some of the devices, each with all its cuts; the orders alone for infinitely many layers. */
function countBalances(devices: number, layers: number): number {
  let sum = 0;
  let orders = 1;
  let cuts = 1;
  for (let stages = 1; stages <= Math.min(devices, layers); stages++) {
    orders *= devices - (stages - 1);
    if (stages > 1 && layers < Infinity) cuts *= (layers - (stages - 1)) / (stages - 1);
    sum += orders * cuts;
  }
  return sum;
}
