/** A device in list scheduling: what it may do next, what it has to send, and how much it holds; and the work, numbered by age. */
import { residentBytes } from '../../cost/memory.js';
import { hasBackward } from '../../cost/task-costs.js';
import type { KeyedMessage } from '../../simulate/player.js';
import type { Member, Stage } from '../placement.js';
import { type ComputeStep, type PolicyContext, tasksOf } from './policy.js';

export interface OpMessage extends KeyedMessage {
  readonly op: number;
}

export interface ListDevice {
  /** In the cluster. */
  readonly index: number;
  readonly stage: Stage;
  readonly stageIndex: number;
  readonly member: Member;
  readonly memberIndex: number;
  /** Ops that are ready: all their activations, or all their gradients, have come. */
  readonly forwards: number[];
  readonly backwards: number[];
  /** Messages that wait for room; until they have left the device does nothing else. */
  readonly outbox: OpMessage[];
  /** Bytes free for activations, and in use. */
  readonly roomBytes: number;
  usedBytes: number;
  /** Micro-batches whose activations it holds. */
  inFlight: number;
  readonly inFlightLimit: number;
  /** Per task: the first step whose parameters are not ready. */
  readonly readySteps: Int32Array;
  /** Per task: backward passes left in the step. */
  readonly backwardsLeft: Int32Array;
  /** Of each op of a step. */
  readonly samples: Int32Array;
  forwardsLeft: number;
  /** The oldest op not yet run forward, and backward. */
  nextForward: number;
  nextBackward: number;
  readonly order: ComputeStep[];
}

/** The devices of each stage, before anything is done. */
export function openListDevices(
  context: PolicyContext,
  ops: PipelineOps,
  inFlight: (distance: number) => number,
): ListDevice[][] {
  const { costs, placement, sampleShares, steps, window } = context;
  const { stages } = placement;
  const tasks = tasksOf(context);
  return stages.map((stage, stageIndex) =>
    stage.members.map((member, memberIndex): ListDevice => {
      const index = costs.deviceIndex(member.device);
      const rows = sampleShares.map((byStage) => byStage[stageIndex]!);
      const loads = rows.map((shares) => costs.loadsOf(shares)[memberIndex]!);
      const { parameterBytes, optimizerBytes, bufferBytes } = residentBytes(
        costs,
        placement,
        stageIndex,
        member,
        { window, mostSamples: loads.map(({ most }) => most) },
      );
      const samples = Int32Array.from(
        { length: ops.perStep },
        (_, op) => rows[ops.taskOf(op)]![ops.microbatchOf(op)]![memberIndex]!,
      );
      const opened: ListDevice = {
        index,
        stage,
        stageIndex,
        member,
        memberIndex,
        forwards: [],
        backwards: [],
        outbox: [],
        roomBytes: costs.devices[index]!.memoryBytes - parameterBytes - optimizerBytes - bufferBytes,
        usedBytes: 0,
        inFlight: 0,
        inFlightLimit: inFlight(stages.length - 1 - stageIndex),
        readySteps: new Int32Array(tasks.length).fill(1),
        backwardsLeft: Int32Array.from(loads, ({ microbatches }) => microbatches),
        samples,
        forwardsLeft: steps * loads.reduce((sum, { microbatches }) => sum + microbatches, 0),
        nextForward: -1,
        nextBackward: -1,
        order: [],
      };
      opened.nextForward = nextOp(opened, ops, 0);
      opened.nextBackward = nextOp(opened, ops, 0, (op) => hasBackward(tasks[ops.taskOf(op)]!, stage.end));
      return opened;
    }),
  );
}

/** The first op from `from` on of which the device handles samples and which `isMeant`; the number of ops when there is none. */
export function nextOp(
  { samples }: ListDevice,
  { perStep, total }: PipelineOps,
  from: number,
  isMeant: (op: number) => boolean = () => true,
): number {
  let op = from;
  while (op < total && !(samples[op % perStep]! > 0 && isMeant(op))) op += 1;
  return op;
}

/** Takes the least op that `may` be done out of the list; -1 when there is none. */
export function takeOldest(ready: number[], may: (op: number) => boolean): number {
  let best = -1;
  for (let index = 0; index < ready.length; index++)
    if ((best < 0 || ready[index]! < ready[best]!) && may(ready[index]!)) best = index;
  return best < 0 ? -1 : ready.splice(best, 1)[0]!;
}

/** The work of a pipeline as numbers in order of age: an op is one micro-batch of one task in one step. */
export interface PipelineOps {
  /** Ops of one step, and of all. */
  readonly perStep: number;
  readonly total: number;
  readonly stepOf: (op: number) => number;
  /** Index into the placement's tasks. */
  readonly taskOf: (op: number) => number;
  readonly microbatchOf: (op: number) => number;
}

/** Older is by step, then task, then micro-batch: sibling tasks follow each other closely. */
export function numberOps(steps: number, tasks: number, microbatches: number): PipelineOps {
  const perStep = tasks * microbatches;
  return {
    perStep,
    total: steps * perStep,
    stepOf: (op) => Math.floor(op / perStep),
    taskOf: (op) => Math.floor((op % perStep) / microbatches),
    microbatchOf: (op) => op % microbatches,
  };
}
