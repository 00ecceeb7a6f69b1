/** When a step's gradients can be exchanged: all members of a stage have finished the step. */
import { type CollectiveCost, collectiveCost } from '../../cost/collective-cost.js';
import { gradientBytes, trains } from '../../cost/task-costs.js';
import type { ListDevice } from './list-device.js';
import { type PolicyContext, tasksOf } from './policy.js';

/**
 * Notes when a device will have done its last backward pass of a task in a step.
 *
 * @returns when the stage's exchange can begin, and what it costs; undefined while other members are missing
 */
type EndStep = (
  device: ListDevice,
  task: number,
  step: number,
  end: number,
) => { readonly at: number; readonly cost: CollectiveCost } | undefined;

export function trackStepEnds(context: PolicyContext, devices: readonly (readonly ListDevice[])[]): EndStep {
  const { costs, sampleShares } = context;
  const tasks = tasksOf(context);
  const finished = devices.map(() => new Map<number, { count: number; end: number }>());
  return ({ stage, stageIndex }, taskIndex, step, end) => {
    const task = tasks[taskIndex]!;
    const key = step * tasks.length + taskIndex;
    const before = finished[stageIndex]!.get(key) ?? { count: 0, end: 0 };
    const entry = { count: before.count + 1, end: Math.max(before.end, end) };
    finished[stageIndex]!.set(key, entry);
    const loads = costs.loadsOf(sampleShares[taskIndex]![stageIndex]!);
    const group = devices[stageIndex]!.filter((_, member) => loads[member]!.microbatches > 0);
    if (entry.count < group.length) return undefined;
    const bytes = gradientBytes(task, stage);
    const exchange = { operation: 'allReduce', bytes, messages: 1 } as const;
    const ring = bytes > 0 && trains(task, stage) ? group.map(({ index }) => index) : [];
    return { at: entry.end, cost: collectiveCost(costs, exchange, ring) };
  };
}
