/**
 * ContextGear's order: list scheduling in which frozen stages run ahead, sibling tasks interleave, and the gradient is sent before the
 * weight gradient is computed.
 */
import { listSchedule } from './list-scheduling.js';
import type { Policy } from './policy.js';

/** In flight as in 1F1B: distance + 1. Least memory. */
export const contextGear: Policy = {
  name: 'ContextGear',
  fusedBackward: false,
  order: (context) => listSchedule(context, { inFlight: (distance) => distance + 1, fusedBackward: false }),
};

/** In flight 2 · distance + 1: hides transfers as long as a stage's work, where memory allows. */
export const contextGearDeep: Policy = {
  name: 'ContextGear, deep',
  fusedBackward: false,
  order: (context) =>
    listSchedule(context, { inFlight: (distance) => 2 * distance + 1, fusedBackward: false }),
};
