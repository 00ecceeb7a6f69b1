/**
 * ContextGear's order: frozen stages run ahead, sibling tasks interleave, and the gradient is sent before the weight gradient is computed.
 * How many micro-batches a stage may have in flight is chosen for each placement.
 */
import { listSchedule } from './list-scheduling.js';
import { alternating } from './one-forward-one-backward.js';
import type { Policy } from './policy.js';

const listed = (name: string, inFlight: (distance: number) => number): Policy => ({
  name,
  fusedBackward: false,
  order: (context) => listSchedule(context, { inFlight, fusedBackward: false }),
});

/** In flight as in 1F1B: distance + 1. Least memory. */
export const contextGear = listed('ContextGear', (distance) => distance + 1);

/** In flight 2 · distance + 1: hides transfers as long as a stage's work, where memory allows. */
export const contextGearDeep = listed('ContextGear, deep', (distance) => 2 * distance + 1);

/** As many in flight as memory allows: where a group is smaller than those above it, what comes back is far away. */
export const contextGearFull = listed('ContextGear, full', () => Infinity);

/** List scheduling with so many micro-batches in flight on each stage, as far as memory allows. */
export const contextGearAt = (depths: readonly number[]): Policy =>
  listed(`ContextGear/${depths.join()}`, (distance) => depths.at(-1 - distance)!);

/** So many forwards on each stage, whether or not a backward pass is ready before, then backward and forward in turn. */
export const contextGearAlternating = (depths: readonly number[]): Policy =>
  alternating(`ContextGear, alternating/${depths.join()}`, {
    warmUp: (distance) => depths.at(-1 - distance)! - 1,
    fusedBackward: false,
  });
