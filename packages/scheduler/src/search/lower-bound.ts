/**
 * What no placement of whole layers can beat: the lower bound that comes with every plan. Strategies that split layers or shard
 * parameters (JORA, ZeRO-3) are bound by the work alone.
 *
 *   work     all FLOPs of a step / all devices' speeds; where few devices must do it (see network), the fastest few
 *   network  k devices on one shared medium exchange at least k − 1 boundaries or gradients, so
 *            min over k of max(FLOPs / speed of the k fastest, (k − 1) · least exchange / best rate)
 *   memory   no fewer devices than hold the model
 *   stages   see stage-bound.ts: what waiting for the stages below, boundaries and gradients cost at least, however the layers are cut
 *
 * It ignores that samples are whole, so the gap to it is an upper bound of the true gap.
 */
import { joulesOf } from '../cost/energy.js';
import { layerStates, type StateBytes } from '../cost/memory.js';
import { boundaryBytes, gradientBytes, gradientCrosses } from '../cost/task-costs.js';
import { deviceWork } from './device-work.js';
import { type IntervalProblem, valueOf } from './interval-problem.js';
import { bestRate, onOneMedium, stageBound } from './stage-bound.js';

export interface LowerBound {
  /** Of one step. */
  readonly stepSeconds: number;
  readonly binding: 'work' | 'network' | 'memory' | 'stages';
  /** In the objective's unit, of all steps. */
  readonly value: number;
}

export function lowerBound(problem: IntervalProblem): LowerBound {
  const { costs, steps, objective } = problem;
  const { flops, fastest } = deviceWork(problem);
  const total = flops[costs.layerCount]!;
  const speeds = [...fastest].sort((a, b) => b - a);
  const exchange = leastExchangeSeconds(problem);
  const fewest = fewestDevices(problem);

  let bySpeed = Infinity;
  let speed = 0;
  let best: LowerBound['binding'] = 'work';
  for (const [index, added] of speeds.entries()) {
    speed += added;
    if (index + 1 < fewest) continue;
    const work = total / speed;
    const network = index * exchange;
    if (Math.max(work, network) < bySpeed) {
      bySpeed = Math.max(work, network);
      best = index + 1 === speeds.length ? 'work' : fewest > 1 && index + 1 === fewest ? 'memory' : 'network';
    }
  }
  const byStages = stageBound(problem, { least: bySpeed, flops, speeds });
  const stepSeconds = Math.max(bySpeed, byStages);
  const seconds = steps * stepSeconds;
  return {
    stepSeconds,
    binding: byStages > bySpeed ? 'stages' : best,
    value: valueOf(objective, seconds, objective === 'time' ? 0 : leastJoules(problem, total)),
  };
}

/** All FLOPs on the device that needs least energy for them; no idle power, because the other devices may be off. */
function leastJoules({ costs, steps }: IntervalProblem, flops: number): number {
  const joules = costs.devices.map(({ forwardRate, inputRate, weightRate }, index) => {
    const seconds = (steps * flops) / Math.max(forwardRate, inputRate, weightRate);
    return joulesOf(costs.cluster.devices[index]!, seconds, seconds) ?? 0;
  });
  return Math.min(...joules);
}

/** Seconds that every device beyond the first adds to the air of a medium that all links share; 0 where they do not. */
function leastExchangeSeconds({ costs, tasks }: IntervalProblem): number {
  if (!onOneMedium(costs.cluster)) return 0;
  const all = tasks.map(costs.taskNamed);
  let least = Infinity;
  for (let cut = 1; cut < costs.layerCount; cut++)
    least = Math.min(
      least,
      all.reduce(
        (sum, task) => sum + boundaryBytes(task, cut) * task.samples * (gradientCrosses(task, cut) ? 2 : 1),
        0,
      ),
    );
  // A group exchanges the gradients of its stage, at least those of one layer, twice over; a frozen stage's group none. Of several tasks
  // each device may handle only one, which it shares at least with the member of the largest share.
  for (let layer = 0; layer < costs.layerCount; layer++)
    least = Math.min(
      least,
      2 * Math.min(...all.map((task) => gradientBytes(task, { start: layer, end: layer + 1 }))),
    );
  return least / bestRate(costs.cluster);
}

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
