/** What a pass is: it adds to the programs what is not compute. */
import type { PolicyContext } from '../policies/policy.js';
import type { Instruction } from '../schedule.js';

/** What a pass knows. */
export interface PassContext extends PolicyContext {
  readonly placementIndex: number;
  readonly fusedBackward: boolean;
}

/** A pass rewrites the programs of one placement's members: `programs[stage][member]`. */
export type Pass = (programs: Instruction[][][], context: PassContext) => Instruction[][][];
