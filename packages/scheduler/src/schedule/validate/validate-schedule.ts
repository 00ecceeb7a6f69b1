/** Checks a finished schedule as a whole; a problem is a bug of a policy or a pass, or a placement that does not fit. */
import type { Schedule } from '../schedule.js';
import type { CostModel } from '../../cost/cost-model.js';
import { memoryOf } from '../memory-of.js';
import { splitsWork } from '../placement.js';
import { describeInstruction, validateProgram } from './validate-program.js';
import type { Routes } from '../../cost/routes.js';
import { playPrograms } from '../../simulate/play-programs.js';

/** Every rule the schedule breaks, as sentences; empty when it breaks none. */
export function validateSchedule(costs: CostModel, schedule: Schedule): string[] {
  const problems = [...checkStages(costs, schedule)];
  for (const [index, program] of schedule.programs.entries()) {
    problems.push(...validateProgram(costs, schedule, program));
    const { totalBytes } = memoryOf(costs, schedule, index);
    const { memoryBytes } = costs.deviceNamed(program.device);
    if (totalBytes > memoryBytes * (1 + 1e-12))
      problems.push(`"${program.device}" needs ${totalBytes} bytes and has ${memoryBytes}`);
  }
  problems.push(...checkMessages(schedule));
  // An order can only be played through when all its messages exist.
  if (problems.length === 0) problems.push(...findDeadlock(costs, schedule));
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

/** The devices that wait for ever, and what they wait for, as sentences. Every message must have a sender and a receiver. */
function findDeadlock(costs: CostModel, schedule: Schedule): string[] {
  // Whether devices wait for each other does not depend on how long anything takes.
  const played = playPrograms({ ...costs, routes: instantRoutes }, schedule, { price: () => 0 });
  return played.flatMap(({ program: { device, instructions }, at }) => {
    const next = instructions[at];
    return next ? [`"${device}" waits for ever at instruction ${at}: ${describeInstruction(next)}`] : [];
  });
}

const instantRoutes: Routes = {
  media: [],
  route: () => ({ bytesPerSecond: Infinity, latencySeconds: 0, medium: -1, link: -1 }),
};
