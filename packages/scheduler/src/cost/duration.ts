/**
 * The one definition of time: `durationOf` prices an instruction; planner, simulator and report all use it.
 *
 *   forward         samples · Σ forwardFlops · work / rate.forward + layers · overhead
 *   backwardInput   samples · Σ inputFlops · work / rate.input + layers · overhead   (only layers above the lowest trained one owe it)
 *   backwardWeight  samples · Σ weightFlops · work / rate.weight                     (launched with backwardInput)
 *   update          overhead
 *   send            bytes / (bytesPerSecond · (1 − loss)) + latency, twice where it is relayed
 *   cache           bytes / storageBytesPerSecond
 *   collective      see collective-cost.ts
 *
 * Layers are those with work to do: what comes from a cache is not launched. A rate may depend on the samples.
 */
import type { Instruction } from '../schedule/schedule.js';
import type { Member } from '../schedule/placement.js';
import type { MemberLoad } from '../schedule/sample-shares.js';
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
  const { rates, overheadSeconds } = device;
  switch (kind) {
    case 'forward':
      return (
        (between(sums.forwardFlops, start, end) * samples * work) / rateAt(rates.forward, samples) +
        between(sums.forwardLayers, start, end) * overheadSeconds
      );
    case 'backwardInput':
      return (
        (between(sums.inputFlops, start, end) * samples * work) / rateAt(rates.input, samples) +
        between(sums.backwardLayers, start, end) * overheadSeconds
      );
    case 'backwardWeight':
      return (between(sums.weightFlops, start, end) * samples * work) / rateAt(rates.weight, samples);
  }
}

// Not inside: a search asks for millions of prices.
const between = (sums: Float64Array, start: number, end: number): number => sums[end]! - sums[start]!;

/** Seconds of one kind of work in all micro-batches of a step. */
export function stepSeconds(
  device: DeviceCosts,
  task: TaskCosts,
  kind: Parameters<typeof computeSeconds>[2],
  stage: StageRange,
  { sizes }: MemberLoad,
): number {
  let sum = 0;
  for (const [samples, count] of sizes) sum += count * computeSeconds(device, task, kind, stage, samples);
  return sum;
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
