/** When a step's parameters are ready: all members of a stage have finished the step before and exchanged their gradients. */
import { collectiveCost } from '../../cost/collective-cost.js';
import { gradientBytes, trains } from '../../cost/task-costs.js';
import type { ListDevice } from './list-device.js';
import { type PolicyContext, tasksOf } from './policy.js';

interface StepEnds {
  /**
   * A device will have done its last backward pass of a task in a step at that time.
   *
   * @returns when the stage's parameters are ready, the exchange having the network to itself; undefined while other members are missing
   */
  finish(device: ListDevice, task: number, step: number, at: number): number | undefined;
}

export function trackStepEnds(context: PolicyContext, devices: readonly (readonly ListDevice[])[]): StepEnds {
  const { costs, sampleShares } = context;
  const tasks = tasksOf(context);
  const finished = devices.map(() => new Map<number, { count: number; at: number }>());
  return {
    finish({ stage, stageIndex }, task, step, at) {
      const key = step * tasks.length + task;
      const entry = finished[stageIndex]!.get(key) ?? { count: 0, at: 0 };
      entry.count += 1;
      entry.at = Math.max(entry.at, at);
      finished[stageIndex]!.set(key, entry);
      const loads = costs.loadsOf(sampleShares[task]![stageIndex]!);
      const group = devices[stageIndex]!.filter((_, member) => loads[member]!.microbatches > 0);
      if (entry.count < group.length) return undefined;
      const bytes = gradientBytes(tasks[task]!, stage);
      if (group.length < 2 || bytes === 0 || !trains(tasks[task]!, stage)) return entry.at;
      const { seconds, latencySeconds } = collectiveCost(
        costs,
        { operation: 'allReduce', bytes, messages: 1 },
        group.map(({ device }) => device),
      );
      return entry.at + seconds + latencySeconds;
    },
  };
}
