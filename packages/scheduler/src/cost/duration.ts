/**
 * The one definition of time: `durationOf` prices an instruction; planner, simulator and report all use it.
 *
 *   forward         samples · Σ forwardFlops · work / rate.forward + overhead
 *   backwardInput   samples · Σ inputFlops · work / rate.input + overhead      (only layers above the lowest trained one owe it)
 *   backwardWeight  samples · Σ weightFlops · work / rate.weight               (follows backwardInput in one launch)
 *   send            bytes / (bytesPerSecond · (1 − loss)) + latency
 *   cache           bytes / storageBytesPerSecond
 *   collective      see collective-cost.ts
 */
import type { Instruction } from '../schedule/schedule.js';
import type { Member } from '../schedule/placement.js';
import type { Rate } from '../problem/cluster.js';
import { rateAt } from '../problem/rates.js';
import { collectiveCost } from './collective-cost.js';
import type { DeviceCosts } from './cluster-costs.js';
import type { CostModel } from './cost-model.js';
import { airSeconds } from './routes.js';
import { boundaryBytes, type LayerRange, type TaskCosts } from './task-costs.js';

/** A device's stage as far as prices depend on it. */
export type StageRange = LayerRange & Pick<Member, 'work'>;

/** Seconds of computing `samples` samples of one kind of work on a device. */
export function computeSeconds(
  device: DeviceCosts,
  { sums }: TaskCosts,
  kind: 'forward' | 'backwardInput' | 'backwardWeight',
  { start, end, work = 1 }: StageRange,
  samples: number,
): number {
  if (samples === 0) return 0;
  const seconds = (flops: Float64Array, rate: Rate) =>
    ((flops[end]! - flops[start]!) * samples * work) / rateAt(rate, samples);
  switch (kind) {
    case 'forward':
      return seconds(sums.forwardFlops, device.rates.forward) + device.overheadSeconds;
    case 'backwardInput':
      return seconds(sums.inputFlops, device.rates.input) + device.overheadSeconds;
    case 'backwardWeight':
      return seconds(sums.weightFlops, device.rates.weight);
  }
}

/**
 * Seconds an instruction takes when nothing else competes with it; receiving is waiting and costs nothing of its own.
 *
 * @param device where it runs
 */
export function durationOf(
  costs: CostModel,
  instruction: Instruction,
  device: number,
  stage: StageRange,
): number {
  const task = costs.taskNamed(instruction.task);
  const profile = costs.devices[device]!;
  switch (instruction.type) {
    case 'load':
      return 0;
    case 'forward':
    case 'backwardInput':
    case 'backwardWeight':
      return computeSeconds(profile, task, instruction.type, stage, instruction.samples);
    case 'update':
      return profile.overheadSeconds;
    case 'cacheWrite':
    case 'cacheRead':
      return (instruction.samples * boundaryBytes(task, task.lowestTrained)) / profile.storageBytesPerSecond;
    case 'sendActivation':
    case 'sendGradient': {
      const route = costs.routes.route(device, costs.deviceIndex(instruction.peer));
      if (!route) return Infinity;
      const bytes = messageBytes(task, instruction, stage);
      return airSeconds(route, bytes) + route.latencySeconds;
    }
    case 'receiveActivation':
    case 'receiveGradient':
      return 0;
    case 'collective': {
      const cost = collectiveCost(costs, instruction, instruction.members.map(costs.deviceIndex));
      return cost.seconds + cost.latencySeconds;
    }
    default:
      return instruction satisfies never;
  }
}

/** Bytes a send carries. */
export const messageBytes = (
  task: TaskCosts,
  { type, samples }: { readonly type: string; readonly samples: number },
  { start, end }: StageRange,
): number => samples * boundaryBytes(task, type === 'sendActivation' ? end : start);
