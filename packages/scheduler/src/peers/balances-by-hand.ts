/**
 * A balance as a careful user would give it: how many layers each device of a pipeline gets, in any order of any of the devices.
 *
 * All of them where they are few; else for each order the cuts after which the slowest stage or message is quickest, and in a
 * comparison those with one cut moved as well.
 */
import { boundaryBytes } from '../cost/task-costs.js';
import type { Placement } from '../schedule/placement.js';
import { sumMemory } from '../search/bottleneck-search.js';
import { deviceWork } from '../search/device-work.js';
import { limits } from '../search/effort.js';
import type { IntervalProblem } from '../search/interval-problem.js';
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
  for (let replicas = 1; replicas <= Math.min(most, devices.length); replicas++)
    for (const order of every && replicas === 1
      ? ordersOf([...devices.keys()])
      : deviceOrders(problem).flatMap((all) =>
          countsUpTo(Math.floor(all.length / replicas)).map((stages) => all.slice(0, stages * replicas)),
        )) {
      const cuts = quickestCuts(layerCount, order.length / replicas, secondsOn(order, replicas));
      if (!cuts) continue;
      for (const moved of thorough ? withCutsMoved(cuts) : [cuts])
        yield* inAllDivisions(problem, moved, order, replicas);
    }
}

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

/** The cuts, and with one of them moved by a few layers. */
function* withCutsMoved(cuts: readonly number[]): Generator<readonly number[]> {
  yield cuts;
  for (let index = 0; index < cuts.length - 1; index++)
    for (let by = -limits.handShift; by <= limits.handShift; by++) {
      const cut = cuts[index]! + by;
      if (by !== 0 && cut > (cuts[index - 1] ?? 0) && cut < cuts[index + 1]!) yield cuts.with(index, cut);
    }
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
