/** A schedule: placements on disjoint devices, and a program for each device. */
import type { Instruction } from './instruction.js';
import type { Placement } from './placement.js';

export interface DeviceProgram {
  readonly device: string;
  /** Index into `placements`, and of the stage within it. */
  readonly placement: number;
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
