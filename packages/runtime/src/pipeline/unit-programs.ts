/**
 * From a schedule to the programs that devices execute.
 *
 * A schedule's micro-batch may be divided among the devices of a group, and differently on the next stage. Here each becomes as many
 * micro-batches as it takes for every one to be handled by a single device on every stage; where no stage is a group, nothing changes.
 */
import type { CostModel, DeviceProgram, Instruction, Placement, Schedule } from '@contextlora/scheduler';

import type { GroupExchange, ProgramInstruction } from '../execute/execute-program.js';
import { groupBy } from '../group-by.js';
import { RuntimeError } from '../runtime-error.js';

/** Samples that stay together on every stage. */
export interface Unit {
  readonly task: string;
  /** Among the units of its task. */
  readonly index: number;
  /** Of the schedule. */
  readonly microbatch: number;
  readonly samples: number;
  /** By stage, the device that handles it. */
  readonly devices: readonly string[];
}

/** The units of a placement's tasks, in order. @throws RuntimeError (`RUNTIME_INPUT_INVALID`) for devices that split the work of a layer. */
export function unitsOf(costs: CostModel, placement: Placement): Unit[] {
  const { stages, tasks, microbatches } = placement;
  const splitting = stages.flatMap(({ members }) => members.filter(({ work = 1 }) => work < 1));
  if (splitting.length > 0)
    throw new RuntimeError(
      'RUNTIME_INPUT_INVALID',
      'unitsOf',
      `${splitting[0]!.device} is to do a part of the work of each layer, but devices run whole layers; take a placement that keeps layers whole`,
    );
  const shares = costs.sharesOf(placement);
  return tasks.flatMap((task, taskIndex) => {
    let index = 0;
    return Array.from({ length: microbatches }, (_, microbatch) => {
      const ends = stages.map((_, stage) => runningSums(shares[taskIndex]![stage]![microbatch]!));
      const cuts = [...new Set(ends.flat())].sort((a, b) => a - b).filter((cut) => cut > 0);
      return cuts.map((cut, at): Unit => {
        const devices = stages.map(
          ({ members }, stage) => members[ends[stage]!.findIndex((end) => end >= cut)]!.device,
        );
        return { task, index: index++, microbatch, samples: cut - (cuts[at - 1] ?? 0), devices };
      });
    }).flat();
  });
}

export interface UnitProgramsOptions {
  readonly units: readonly Unit[];
  /** Whether a unit's input of the lowest trained layer is in that stage's cache, so that the stages below have nothing to do. */
  readonly isHeld: (unit: Unit) => boolean;
  /** The stage of a task's lowest trained layer. */
  readonly lowestStage: (task: string) => number;
}

/** Each device's instructions for a step. */
export function unitPrograms(
  { programs, placements }: Schedule,
  { units, isHeld, lowestStage }: UnitProgramsOptions,
): Map<string, ProgramInstruction[]> {
  const placement = placements[0]!;
  const byMicrobatch = groupBy(units, ({ task, microbatch }) => `${microbatch} ${task}`);
  const stageOf = new Map(programs.map(({ device, stage }) => [device, stage]));
  const expand = (instruction: Instruction, { device, stage }: DeviceProgram): ProgramInstruction[] => {
    // Those of a group are added below, for all its devices.
    if (instruction.type === 'collective') return [];
    if (instruction.type === 'update') return [instruction];
    const peerStage = 'peer' in instruction ? stageOf.get(instruction.peer)! : stage;
    const peer = 'peer' in instruction ? instruction.peer : device;
    const { task } = instruction;
    return (byMicrobatch.get(`${instruction.microbatch} ${task}`) ?? [])
      .filter(({ devices }) => devices[stage] === device && devices[peerStage] === peer)
      .filter((unit) => !isHeld(unit) || isNeededThough(instruction, stage, lowestStage(task)))
      .map(({ index, samples }) => ({ ...instruction, microbatch: index, samples }));
  };
  const expanded = programs.map((program) => {
    const instructions = program.instructions.flatMap((instruction) => expand(instruction, program));
    return { ...program, instructions };
  });
  return new Map(
    expanded.map(({ device, stage, instructions }) => [
      device,
      withUpdates(
        withExchanges(instructions, {
          device,
          recipients: placement.stages[stage]!.members.map((member) => member.device),
          ofGroup: expanded.filter((other) => other.stage === stage),
        }),
        placement.tasks,
      ),
    ]),
  );
}

function isNeededThough({ type }: Instruction, stage: number, lowest: number): boolean {
  if (type === 'load' || type === 'forward' || type === 'sendActivation') return stage >= lowest;
  if (type === 'receiveActivation') return stage > lowest;
  return true;
}

/** Adds the exchange of a group's gradients before every update; a device without samples takes part too, or its segments would fall behind. */
function withExchanges(
  instructions: readonly ProgramInstruction[],
  {
    device,
    recipients,
    ofGroup,
  }: {
    device: string;
    recipients: readonly string[];
    ofGroup: readonly { readonly device: string; readonly instructions: readonly ProgramInstruction[] }[];
  },
): ProgramInstruction[] {
  if (recipients.length < 2) return [...instructions];
  const trained = [
    ...new Set(
      ofGroup.flatMap((other) =>
        other.instructions.flatMap(({ type, task }) => (type === 'update' ? [task] : [])),
      ),
    ),
  ];
  return trained.reduce<ProgramInstruction[]>(
    (program, task) => {
      const isLast = ({ type, task: of }: ProgramInstruction) => type === 'backwardWeight' && of === task;
      const exchange: GroupExchange = {
        type: 'collective',
        operation: 'allReduce',
        id: `gradients ${task}`,
        task,
        step: 0,
        members: ofGroup.filter((other) => other.instructions.some(isLast)).map((other) => other.device),
        recipients,
        bytes: 0,
        messages: 1,
        awaitedBy: 'update',
      };
      if (!exchange.members.includes(device))
        return [...program, exchange, { type: 'update', task, step: 0 }];
      const at = program.findLastIndex(isLast) + 1;
      return [...program.slice(0, at), exchange, ...program.slice(at)];
    },
    [...instructions],
  );
}

/** Stages that train nothing of a task count its steps too, so that the state of all is that of one step. */
const withUpdates = (
  instructions: readonly ProgramInstruction[],
  tasks: readonly string[],
): ProgramInstruction[] => [
  ...instructions,
  ...tasks
    .filter((task) => !instructions.some((one) => one.type === 'update' && one.task === task))
    .map((task): ProgramInstruction => ({ type: 'update', task, step: 0 })),
];

const runningSums = (values: readonly number[]): number[] => {
  let sum = 0;
  return values.map((value) => (sum += value));
};
