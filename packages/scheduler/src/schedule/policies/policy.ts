/** What a policy is: a function that orders compute, and nothing else, for every member of every stage of a pipeline. */
import { type CostModel, hasBackward, type TaskCosts } from '../../cost/cost-model.js';
import type { Placement, SampleDeal } from '../placement.js';

/** One piece of a device's work. `task` is an index into the placement's tasks. */
export interface ComputeStep {
  readonly type: 'forward' | 'backwardInput' | 'backwardWeight';
  readonly task: number;
  readonly step: number;
  readonly microbatch: number;
}

/** What a policy may look at. */
export interface PolicyContext {
  readonly costs: CostModel;
  readonly placement: Placement;
  readonly deal: SampleDeal;
  /** Optimizer steps to order. */
  readonly steps: number;
  /** Messages a sender may have under way, and a receiver may hold unread, per channel. */
  readonly window: number;
}

export interface Policy {
  readonly name: string;
  /** Whether the gradient is sent only when the weight gradient is done too, as engines with one backward pass do. */
  readonly fusedBackward: boolean;
  /** The work in the order in which it is done: `order[stage][member]`. A member without samples of a micro-batch skips it. */
  order(context: PolicyContext): ComputeStep[][][];
}

/** Costs of the placement's tasks, in its order. */
export const tasksOf = ({ costs, placement }: Pick<PolicyContext, 'costs' | 'placement'>): TaskCosts[] =>
  placement.tasks.map((name) => costs.tasks[costs.taskIndex(name)]!);

/** The backward work of one micro-batch on a stage: none below the lowest trained layer, no weight gradient where nothing trains. */
export function backwardSteps(
  task: TaskCosts,
  { start, end }: { readonly start: number; readonly end: number },
  step: Omit<ComputeStep, 'type'>,
): ComputeStep[] {
  if (!hasBackward(task, end)) return [];
  const input: ComputeStep = { type: 'backwardInput', ...step };
  return trains(task, { start, end }) ? [input, { type: 'backwardWeight', ...step }] : [input];
}

/** Whether a stage trains anything of the task, rather than only passing gradients on. */
export const trains = (
  { sums: { weightFlops } }: TaskCosts,
  { start, end }: { readonly start: number; readonly end: number },
): boolean => weightFlops[end]! > weightFlops[start]!;
