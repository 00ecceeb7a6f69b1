/** Checks a finished schedule as a whole; what it finds is a bug of a policy or a pass, or a placement that does not fit. */
import type { Schedule } from '../build-schedule.js';
import type { CostModel } from '../../cost/cost-model.js';
import type { Instruction } from '../instruction.js';
import { memoryOf } from '../memory-of.js';
import { splitsWork } from '../placement.js';
import { describe, validateProgram } from './validate-program.js';

/** Every rule the schedule breaks, as sentences; empty when it breaks none. */
export function validateSchedule(costs: CostModel, schedule: Schedule): string[] {
  const problems = [...checkStages(costs, schedule)];
  for (const [index, program] of schedule.programs.entries()) {
    problems.push(...validateProgram(costs, schedule, program));
    const { totalBytes } = memoryOf(costs, schedule, index);
    const { memoryBytes } = costs.devices[costs.deviceIndex(program.device)]!;
    if (totalBytes > memoryBytes * (1 + 1e-12))
      problems.push(`"${program.device}" needs ${totalBytes} bytes and has ${memoryBytes}`);
  }
  problems.push(...checkMessages(schedule));
  // An order can only be played through when all its messages exist.
  if (problems.length === 0) problems.push(...findDeadlock(schedule));
  return problems;
}

function checkStages(costs: CostModel, { placements }: Schedule): string[] {
  const problems: string[] = [];
  const seen = new Set<string>();
  for (const { stages } of placements) {
    let next = 0;
    for (const [index, { start, end, members }] of stages.entries()) {
      if (end <= start || members.length === 0) problems.push(`stage ${index} is empty`);
      if (start !== next) problems.push(`stage ${index} starts at layer ${start}, expected ${next}`);
      next = end;
      const sum = members.reduce((total, { share }) => total + share, 0);
      if (!splitsWork(members) && Math.abs(sum - 1) > 1e-9)
        problems.push(`the shares of stage ${index} sum to ${sum}`);
      for (const { device } of members) {
        if (seen.has(device)) problems.push(`"${device}" appears twice`);
        seen.add(device);
      }
    }
    if (next !== costs.layerCount) problems.push(`the stages end at layer ${next} of ${costs.layerCount}`);
  }
  return problems;
}

function checkMessages({ programs }: Schedule): string[] {
  const open = new Map<string, { sent: number; received: number; samples: number }>();
  for (const { device, instructions } of programs)
    for (const instruction of instructions) {
      if (!('peer' in instruction)) continue;
      const { type, peer, samples } = instruction;
      const sends = type === 'sendActivation' || type === 'sendGradient';
      const kind = type === 'sendActivation' || type === 'receiveActivation' ? 'activation' : 'gradient';
      const { task, step, microbatch } = instruction;
      const [from, to] = sends ? [device, peer] : [peer, device];
      const key = `${kind} of ${task} ${step}/${microbatch} from "${from}" to "${to}"`;
      const entry = open.get(key) ?? { sent: 0, received: 0, samples: 0 };
      entry[sends ? 'sent' : 'received'] += 1;
      entry.samples += sends ? samples : -samples;
      open.set(key, entry);
    }
  return [...open].flatMap(([key, { sent, received, samples }]) =>
    sent === 1 && received === 1 && samples === 0
      ? []
      : [`${key}: sent ${sent} times, received ${received} times, ${samples} samples unaccounted for`],
  );
}

/** Plays the programs without a clock: whoever can go on goes on, until all have ended or nobody can. */
function findDeadlock({ programs, window }: Schedule): string[] {
  const at = new Array<number>(programs.length).fill(0);
  // Per channel: how many messages were sent, which of them where in the queue, and how many were read.
  const channels = new Map<string, { sent: number; read: number; positions: Map<string, number> }>();
  const joined = new Map<string, number>();
  const waitsIn = new Set<string>();
  const exchanges = programs.map(({ instructions }) => {
    const found = new Map<string, Extract<Instruction, { type: 'collective' }>>();
    for (const one of instructions)
      if (one.type === 'collective' && one.awaitedBy === 'update') found.set(`${one.task}\n${one.step}`, one);
    return found;
  });
  const channelOf = (kind: string, from: string, to: string) => {
    const key = `${kind}\n${from}\n${to}`;
    let channel = channels.get(key);
    if (!channel) channels.set(key, (channel = { sent: 0, read: 0, positions: new Map() }));
    return channel;
  };
  const messageOf = ({ task, step, microbatch }: Extract<Instruction, { peer: string }>) =>
    `${task}\n${step}\n${microbatch}`;
  const mayGoOn = (program: number, instruction: Instruction): boolean => {
    const { device } = programs[program]!;
    switch (instruction.type) {
      case 'sendActivation':
      case 'sendGradient': {
        const channel = channelOf(instruction.type.slice(4), device, instruction.peer);
        // The receiver has room for `window` unread messages, and as many may be on the way; gradients always are.
        if (instruction.type === 'sendActivation' && channel.sent - channel.read >= 2 * window) return false;
        channel.positions.set(messageOf(instruction), channel.sent++);
        return true;
      }
      case 'receiveActivation':
      case 'receiveGradient': {
        const channel = channelOf(instruction.type.slice(7), instruction.peer, device);
        const position = channel.positions.get(messageOf(instruction));
        if (position === undefined || position >= channel.read + window) return false;
        channel.read += 1;
        return true;
      }
      case 'collective': {
        const mark = `${instruction.id}\n${device}`;
        if (!waitsIn.has(mark)) {
          waitsIn.add(mark);
          joined.set(instruction.id, (joined.get(instruction.id) ?? 0) + 1);
        }
        return instruction.awaitedBy !== 'next' || joined.get(instruction.id) === instruction.members.length;
      }
      case 'update': {
        const exchange = exchanges[program]!.get(`${instruction.task}\n${instruction.step}`);
        if (!exchange) return true;
        return joined.get(exchange.id) === exchange.members.length;
      }
      default:
        return true;
    }
  };
  for (let moved = true; moved;) {
    moved = false;
    for (const [program, { instructions }] of programs.entries())
      while (at[program]! < instructions.length && mayGoOn(program, instructions[at[program]!]!)) {
        at[program]! += 1;
        moved = true;
      }
  }
  return programs.flatMap(({ device, instructions }, program) =>
    at[program]! < instructions.length
      ? [
          `"${device}" waits for ever at instruction ${at[program]!}: ${describe(instructions[at[program]!]!)}`,
        ]
      : [],
  );
}
