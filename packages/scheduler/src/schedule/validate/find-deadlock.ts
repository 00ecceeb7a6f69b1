/** Plays a schedule as if nothing took time, until all programs have ended or no device can go on. */
import type { CostModel } from '../../cost/cost-model.js';
import type { Routes } from '../../cost/routes.js';
import { playPrograms } from '../../simulate/play-programs.js';
import type { Schedule } from '../schedule.js';
import { describeInstruction } from './describe-instruction.js';

/** The devices that wait for ever, and what they wait for, as sentences. Every message must have a sender and a receiver. */
export function findDeadlock(costs: CostModel, schedule: Schedule): string[] {
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
