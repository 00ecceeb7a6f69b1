/** What a policy is: it orders compute, and nothing else, for every member of every stage of a pipeline. */
import type { CostModel } from '../../cost/cost-model.js';
import { hasBackward, type LayerRange, type TaskCosts, trains } from '../../cost/task-costs.js';
import type { Placement } from '../placement.js';
import type { SampleShares } from '../sample-shares.js';

/** One piece of a device's work. `task` is an index into the placement's tasks. */
export interface ComputeStep {
  readonly type: 'forward' | 'backwardInput' | 'backwardWeight';
  readonly task: number;
  readonly step: number;
  readonly microbatch: number;
}

/** What a policy knows. */
export interface PolicyContext {
  readonly costs: CostModel;
  readonly placement: Placement;
  readonly sampleShares: SampleShares;
  /** Optimizer steps to order. */
  readonly steps: number;
  /** Messages a sender may have under way, and a receiver may hold unread, per channel. */
  readonly window: number;
}

export interface Policy {
  readonly name: string;
  /** Whether the gradient is sent only after the weight gradient, as in engines with one backward pass. */
  readonly fusedBackward: boolean;
  /** The work in order: `order[stage][member]`. A member that handles no sample of a micro-batch skips it. */
  order(context: PolicyContext): ComputeStep[][][];
}

/** Costs of the placement's tasks, in its order. */
export const tasksOf = ({ costs, placement }: Pick<PolicyContext, 'costs' | 'placement'>): TaskCosts[] =>
  placement.tasks.map(costs.taskNamed);

/** The backward work of one micro-batch on a stage: none below the lowest trained layer, no weight gradient where nothing trains. */
export function backwardSteps(
  task: TaskCosts,
  range: LayerRange,
  step: Omit<ComputeStep, 'type'>,
): ComputeStep[] {
  if (!hasBackward(task, range.end)) return [];
  const input: ComputeStep = { type: 'backwardInput', ...step };
  return trains(task, range) ? [input, { type: 'backwardWeight', ...step }] : [input];
}
