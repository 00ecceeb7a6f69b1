/** Divides a step's samples among the members of a group: whole samples, by speed, as far as each member's memory allows. */
import { computeSeconds } from '../cost/duration.js';
import { activationBytes, stateBytes } from '../cost/memory.js';
import { hasBackward, type LayerRange } from '../cost/task-costs.js';
import type { Member } from '../schedule/placement.js';
import type { IntervalProblem } from './interval-problem.js';

/**
 * Members with their shares, such that the slowest takes as little time as possible; undefined when the samples do not fit or a member
 * would get none.
 *
 * Each sample goes to the member that would finish it first, which is optimal for equal samples. Those that every member finishes within
 * the ideal time, that of divisible samples, are given at once.
 */
export function shareSamples(
  { costs, tasks }: IntervalProblem,
  { start, end }: LayerRange,
  group: readonly number[],
  microbatches: number,
): Member[] | undefined {
  if (group.length === 1) return [{ device: costs.devices[group[0]!]!.id, share: 1 }];
  const all = tasks.map(costs.taskNamed);
  const samples = Math.max(...all.map((task) => task.samples));
  if (samples < group.length) return undefined;
  const range = { start, end };
  /** Of one sample, without launches. */
  const secondsOf = (index: number) => {
    const device = { ...costs.devices[index]!, overheadSeconds: 0 };
    let sum = 0;
    for (const task of all) {
      const backward = hasBackward(task, end)
        ? computeSeconds(device, task, 'backwardInput', range, 1) +
          computeSeconds(device, task, 'backwardWeight', range, 1)
        : 0;
      sum += (task.samples / samples) * (computeSeconds(device, task, 'forward', range, 1) + backward);
    }
    return sum;
  };
  // A group is a set: in whatever order it is named, its members stand by speed and memory, interchangeable devices side by side, so
  // that one of them stands where another would.
  const devices = [...group].sort(
    (a, b) =>
      secondsOf(a) - secondsOf(b) ||
      costs.devices[b]!.memoryBytes - costs.devices[a]!.memoryBytes ||
      costs.devices[a]!.interchangeableWith - costs.devices[b]!.interchangeableWith ||
      a - b,
  );
  const perSample = devices.map(secondsOf);
  const { parameterBytes, optimizerBytes } = stateBytes(all, range);
  const activations = Math.max(...all.map((task) => activationBytes(task, range, 1)));
  const most = devices.map((index) => {
    const left = costs.devices[index]!.memoryBytes - parameterBytes - optimizerBytes;
    if (left < 0) return 0;
    return activations === 0 ? samples : Math.floor(left / activations) * microbatches;
  });
  const ideal = (1 - 1e-9) * (samples / perSample.reduce((sum, seconds) => sum + 1 / seconds, 0));
  const given = perSample.map((seconds, member) =>
    seconds > 0 ? Math.min(most[member]!, Math.floor(ideal / seconds)) : 0,
  );
  for (let sample = given.reduce((a, b) => a + b, 0); sample < samples; sample++) {
    let best = -1;
    let soonest = Infinity;
    for (let member = 0; member < devices.length; member++) {
      const done = (given[member]! + 1) * perSample[member]!;
      if (given[member]! < most[member]! && done < soonest) [best, soonest] = [member, done];
    }
    if (best < 0) return undefined;
    given[best]! += 1;
  }
  if (given.includes(0)) return undefined;
  return devices.map((index, member) => ({
    device: costs.devices[index]!.id,
    share: given[member]! / samples,
  }));
}
