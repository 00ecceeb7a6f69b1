/** GPipe (Huang et al. 2019): all forwards, then all backwards; every micro-batch stays in flight. Also (m + p − 1)(f + b). */
import { backwardSteps, type ComputeStep, type Policy, tasksOf } from './policy.js';

export const gpipe: Policy = {
  name: 'GPipe',
  fusedBackward: true,
  order(context) {
    const { microbatches, stages } = context.placement;
    const tasks = tasksOf(context);
    return stages.map((stage) => {
      const order: ComputeStep[] = [];
      for (let step = 0; step < context.steps; step++)
        for (const [task, costs] of tasks.entries()) {
          for (let microbatch = 0; microbatch < microbatches; microbatch++)
            order.push({ type: 'forward', task, step, microbatch });
          for (let microbatch = 0; microbatch < microbatches; microbatch++)
            order.push(...backwardSteps(costs, stage, { task, step, microbatch }));
        }
      return stage.members.map(() => order);
    });
  },
};
