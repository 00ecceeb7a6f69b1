/** What a pass is: it adds to the programs what is not compute. */
import type { CostModel } from '../../cost/cost-model.js';
import type { Instruction } from '../schedule.js';
import type { Placement } from '../placement.js';
import type { SampleShares } from '../sample-shares.js';

/** What a pass knows. */
export interface PassContext {
  readonly costs: CostModel;
  readonly placement: Placement;
  readonly placementIndex: number;
  readonly sampleShares: SampleShares;
  readonly steps: number;
  readonly fusedBackward: boolean;
}

/** A pass rewrites the programs of one placement's members: `programs[stage][member]`. */
export type Pass = (programs: Instruction[][][], context: PassContext) => Instruction[][][];
