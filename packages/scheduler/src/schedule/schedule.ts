/**
 * A schedule is data: placements on disjoint devices, and a list of instructions for each device. Planner, simulator and executor share
 * only these types.
 */
import type { Placement } from './placement.js';

export interface DeviceProgram {
  readonly device: string;
  /** Index into `placements`. */
  readonly placement: number;
  /** Index into the placement's stages. */
  readonly stage: number;
  readonly instructions: readonly Instruction[];
}

export interface Schedule {
  readonly policy: string;
  readonly fusedBackward: boolean;
  readonly placements: readonly Placement[];
  /** Optimizer steps of every task. */
  readonly steps: number;
  /** Messages a sender may have under way, and a receiver may hold unread, per channel. */
  readonly window: number;
  readonly programs: readonly DeviceProgram[];
}

interface Of {
  readonly task: string;
  /** Optimizer step, counted from 0 within the schedule. */
  readonly step: number;
}

interface OfMicrobatch extends Of {
  readonly microbatch: number;
  /** Samples of the micro-batch this device handles. */
  readonly samples: number;
}

/** Work on the device itself. */
export type ComputeInstruction =
  /** `input = nextBatch()` */
  | ({ readonly type: 'load' } & OfMicrobatch)
  /** `output = stage(input)`, keeping activations where a backward pass follows */
  | ({ readonly type: 'forward' } & OfMicrobatch)
  /** `inputGradient = stage.backwardInput(outputGradient)` */
  | ({ readonly type: 'backwardInput' } & OfMicrobatch)
  /** `gradients += stage.backwardWeight(outputGradient)`; frees the activations */
  | ({ readonly type: 'backwardWeight' } & OfMicrobatch)
  /** `store(prefixOutput)`: the frozen prefix's output, for later epochs */
  | ({ readonly type: 'cacheWrite' } & OfMicrobatch)
  /** `prefixOutput = fetch()` */
  | ({ readonly type: 'cacheRead' } & OfMicrobatch)
  /** `optimizer.step()` for what this device trains of the task */
  | ({ readonly type: 'update' } & Of);

/** Bytes between two devices. */
export type TransferInstruction = {
  readonly type: 'sendActivation' | 'receiveActivation' | 'sendGradient' | 'receiveGradient';
  readonly peer: string;
} & OfMicrobatch;

/** Bytes among a group; every member issues it under the same id. */
export interface CollectiveInstruction extends Of {
  readonly type: 'collective';
  readonly operation: CollectiveOperation;
  readonly id: string;
  readonly members: readonly string[];
  /** Size of the whole tensor, per member for `allReduce`. */
  readonly bytes: number;
  /** Messages it consists of, each of which pays latency; 1 when it is one tensor. */
  readonly messages: number;
  /** `next`: the program waits for it; `update`: the task's update does; `end`: only the end of the schedule does. */
  readonly awaitedBy: 'next' | 'update' | 'end';
}

export type CollectiveOperation = 'allReduce' | 'allGather' | 'reduceScatter';

export type Instruction = ComputeInstruction | TransferInstruction | CollectiveInstruction;
