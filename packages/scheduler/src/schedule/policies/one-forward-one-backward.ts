/**
 * 1F1B (PipeDream-flush; DeepSpeed's `TrainSchedule`, runtime/pipe/schedule.py): stage s of p does min(p − 1 − s, m) forwards, then
 * alternates forward and backward, so at most p − s micro-batches are in flight. Closed form for equal stages: (m + p − 1)(f + b).
 */
import { hasBackward } from '../../cost/task-costs.js';
import { backwardSteps, type ComputeStep, type Policy, tasksOf } from './policy.js';

interface AlternatingOptions {
  /** Forwards a stage does before it alternates, from its distance to the last stage (0 there). */
  readonly warmUp: (distance: number) => number;
  readonly fusedBackward?: boolean;
}

/** Forwards first, then a forward and a backward pass in turn. */
export const alternating = (name: string, { warmUp, fusedBackward = true }: AlternatingOptions): Policy => ({
  name,
  fusedBackward,
  order(context) {
    const { microbatches, stages } = context.placement;
    const tasks = tasksOf(context);
    return stages.map((stage, index) => {
      const order: ComputeStep[] = [];
      for (let step = 0; step < context.steps; step++)
        for (const [task, costs] of tasks.entries()) {
          // A stage without a backward pass has nothing to alternate with.
          const ahead = hasBackward(costs, stage.end)
            ? Math.min(warmUp(stages.length - 1 - index), microbatches)
            : microbatches;
          for (let slot = 0; slot < microbatches + ahead; slot++) {
            if (slot < microbatches) order.push({ type: 'forward', task, step, microbatch: slot });
            if (slot >= ahead)
              order.push(...backwardSteps(costs, stage, { task, step, microbatch: slot - ahead }));
          }
        }
      return stage.members.map(() => order);
    });
  },
});

export const oneForwardOneBackward: Policy = alternating('1F1B', { warmUp: (distance) => distance });

/** 1F1B that keeps 2 · distance + 1 micro-batches in flight, as Asteroid's planner does to hide slow links. */
export const oneForwardOneBackwardDeep: Policy = alternating('1F1B, deep', {
  warmUp: (distance) => 2 * distance,
});
