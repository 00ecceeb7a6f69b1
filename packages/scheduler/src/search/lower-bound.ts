/**
 * What no placement of whole layers can beat: the lower bound that comes with every plan. Strategies that split layers or shard
 * parameters (JORA, ZeRO-3) are bound by the work alone.
 *
 *   work     all work of a step, launches included, / all devices' speeds; where few devices must do it (see network), the fastest few
 *   network  two devices on shared media exchange at least one boundary or all gradients, k devices k − 1 boundaries or gradients of one
 *            layer, so min over k of max(work / speed of the k fastest, least exchanges of k / best rate / number of media)
 *   memory   no fewer devices than hold the model
 *   drain    when one task trains alone, a step empties the pipeline. A device whose stage starts at layer a idles at least
 *            h(a) = forward and backward of one sample through the trained layers below a, on the fastest device. It holds layer l only if
 *            its stage starts at or after first(l), the lowest start from which the largest memory reaches l. With speeds c and work w
 *            of a step, weight gradients left out:   Σ_d c_d (T − h_d) ≥ Σ_l w_l   implies   Σ_l w_l / (T − h(first(l))) ≤ Σ_d c_d
 *
 * It ignores that layers and samples are whole, so the gap to it is an upper bound of the true gap.
 */
import { joulesOf } from '../cost/energy.js';
import { layerStates, type StateBytes, stateBytes } from '../cost/memory.js';
import {
  boundaryBytes,
  gradientBytes,
  gradientCrosses,
  type LayerRange,
  type TaskCosts,
} from '../cost/task-costs.js';
import { bestRate } from './best-rate.js';
import { deviceWork, type Work } from './device-work.js';
import { type IntervalProblem, valueOf } from './interval-problem.js';

export interface LowerBound {
  /** Of one step. */
  readonly stepSeconds: number;
  readonly binding: 'work' | 'network' | 'memory' | 'drain';
  /** In the objective's unit, of all steps. */
  readonly value: number;
}

export function lowerBound(problem: IntervalProblem): LowerBound {
  const { costs, steps, objective } = problem;
  const { flops, all, passes, seconds: alone } = deviceWork(problem);
  const speeds = [...all.speeds].sort((a, b) => b - a);
  const { first, each } = leastAir(problem);
  const media = costs.routes.media.length;
  const fewest = fewestDevices(problem);

  let bySpeed = Infinity;
  let speed = 0;
  let best: LowerBound['binding'] = 'work';
  for (const [index, added] of speeds.entries()) {
    speed += added;
    if (index + 1 < fewest) continue;
    const work =
      index === 0
        ? Math.min(...alone.map((sums) => sums[costs.layerCount]!))
        : all.seconds[costs.layerCount]! / speed;
    const network = index === 0 ? 0 : Math.max(first, index * each) / Math.max(1, media);
    if (Math.max(work, network) < bySpeed) {
      bySpeed = Math.max(work, network);
      best = index + 1 === speeds.length ? 'work' : fewest > 1 && index + 1 === fewest ? 'memory' : 'network';
    }
  }
  const byDrain = drainSeconds(problem, passes);
  const stepSeconds = Math.max(bySpeed, byDrain);
  const seconds = steps * stepSeconds;
  return {
    stepSeconds,
    binding: byDrain > bySpeed ? 'drain' : best,
    value: valueOf(
      objective,
      seconds,
      objective === 'time' ? 0 : leastJoules(problem, flops[costs.layerCount]!),
    ),
  };
}

function drainSeconds({ costs, tasks }: IntervalProblem, { seconds: work, speeds }: Work): number {
  if (tasks.length !== 1 || work[costs.layerCount] === 0) return 0;
  const task = costs.taskNamed(tasks[0]!);
  const { lowestTrained, samples } = task;
  // A group that exchanges nothing need not end a step together.
  if (gradientBytes(task, { start: lowestTrained, end: Math.min(lowestTrained + 1, costs.layerCount) }) === 0)
    return 0;
  const memory = Math.max(...costs.devices.map(({ memoryBytes }) => memoryBytes));
  const latency = costs.cluster.links.reduce(
    (least, { latencySeconds }) => Math.min(least, latencySeconds),
    Infinity,
  );
  const held = (start: number, end: number) => totalBytes(stateBytes([task], { start, end }));
  // One sample through layers [lowestTrained, a): the lowest trained layer itself may share its stage with frozen ones.
  const idle = new Float64Array(costs.layerCount);
  let first = 0;
  for (let layer = 0; layer < costs.layerCount; layer++) {
    while (first < layer && held(first, layer + 1) > memory) first += 1;
    if (first <= lowestTrained) continue;
    const through = (work[first]! - work[lowestTrained]!) / samples;
    idle[layer] = through / Math.max(...speeds) + 2 * latency;
  }
  const speed = speeds.reduce((a, b) => a + b, 0);
  // The last weight gradient may be computed while the gradient goes down; what stands in the bound is what cannot.
  const needed = (T: number) => {
    let sum = 0;
    for (let layer = 0; layer < costs.layerCount; layer++)
      sum += (work[layer + 1]! - work[layer]!) / (T - idle[layer]!);
    return sum;
  };
  let low = Math.max(...idle);
  let high = low + work[costs.layerCount]! / speed;
  for (let halvings = 0; halvings < 60; halvings++) {
    const middle = (low + high) / 2;
    if (needed(middle) <= speed) high = middle;
    else low = middle;
  }
  return low;
}

/** All FLOPs on the device that needs least energy for them; no idle power, because the other devices may be off. */
function leastJoules({ costs, steps }: IntervalProblem, flops: number): number {
  const joules = costs.devices.map(({ forwardRate, inputRate, weightRate }, index) => {
    const seconds = (steps * flops) / Math.max(forwardRate, inputRate, weightRate);
    return joulesOf(costs.cluster.devices[index]!, seconds, seconds) ?? 0;
  });
  return Math.min(...joules);
}

/** Seconds of air that two devices take at least, and that each further one adds; nothing where some link is of no medium. */
export function leastAir({ costs, tasks }: IntervalProblem): {
  readonly first: number;
  readonly each: number;
} {
  const { cluster, layerCount } = costs;
  if (cluster.links.length === 0 || cluster.links.some(({ medium }) => medium === undefined))
    return { first: 0, each: 0 };
  const all = tasks.map(costs.taskNamed);
  // A boundary, or all gradients; then another boundary, or another member of a group, which exchanges those of a layer at least.
  let first = exchangedLeast(all, { start: 0, end: layerCount });
  let each = Infinity;
  for (let layer = 0; layer < layerCount; layer++) {
    each = Math.min(each, exchangedLeast(all, { start: layer, end: layer + 1 }));
    if (layer === 0) continue;
    const crossing = all.reduce(
      (sum, task) => sum + boundaryBytes(task, layer) * task.samples * (gradientCrosses(task, layer) ? 2 : 1),
      0,
    );
    first = Math.min(first, crossing);
    each = Math.min(each, crossing);
  }
  const rate = bestRate(cluster);
  return { first: first / rate, each: each / rate };
}

/**
 * Bytes that a group of two sends of its gradients: twice over, but peers in half precision. A frozen stage's group sends none. Of several
 * tasks each device may handle only one, which it shares at least with the member of the largest share.
 */
const exchangedLeast = (tasks: readonly TaskCosts[], range: LayerRange): number =>
  Math.min(...tasks.map((task) => gradientBytes(task, range)));

/** No fewer devices can hold the parameters and the optimizer state. */
function fewestDevices({ costs, tasks }: IntervalProblem): number {
  const states = layerStates(tasks.map(costs.taskNamed), costs.layerCount);
  const needed = states.reduce((sum, state) => sum + totalBytes(state), 0);
  const memories = costs.devices.map(({ memoryBytes }) => memoryBytes).sort((a, b) => b - a);
  let held = 0;
  for (const [index, memory] of memories.entries()) {
    held += memory;
    if (held >= needed) return index + 1;
  }
  return memories.length;
}

const totalBytes = ({ parameterBytes, optimizerBytes }: StateBytes): number =>
  parameterBytes + optimizerBytes;
