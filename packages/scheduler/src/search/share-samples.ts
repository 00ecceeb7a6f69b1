/** Divides a step's samples among the members of a group: whole samples, by speed, as far as each one's memory reaches. */
import { computeSeconds, hasBackward } from '../cost/cost-model.js';
import type { Member, Stage } from '../schedule/placement.js';
import type { SegmentProblem } from './interval-problem.js';

/**
 * Members with their shares, such that the slowest takes least; undefined when the samples do not fit or someone would get none.
 *
 * Samples are dealt one by one to whoever would be done first, which is optimal for equal samples. All that would be done by the time
 * that the samples take if they could be divided are dealt at once.
 */
export function shareSamples(
  { costs, tasks }: SegmentProblem,
  { start, end }: Pick<Stage, 'start' | 'end'>,
  group: readonly number[],
  microbatches: number,
): Member[] | undefined {
  if (group.length === 1) return [{ device: costs.devices[group[0]!]!.id, share: 1 }];
  const all = tasks.map((name) => costs.tasks[costs.taskIndex(name)]!);
  const samples = Math.max(...all.map((task) => task.samples));
  if (samples < group.length) return undefined;
  const range = { start, end };
  const secondsOf = (index: number) => {
    const at = { ...costs.devices[index]!, overheadSeconds: 0 };
    return all.reduce(
      (sum, task) =>
        sum +
        (task.samples / samples) *
          (computeSeconds(at, task, 'forward', range, 1) +
            (hasBackward(task, end)
              ? computeSeconds(at, task, 'backwardInput', range, 1) +
                computeSeconds(at, task, 'backwardWeight', range, 1)
              : 0)),
      0,
    );
  };
  // A group is a set: in whatever order it is named, its members stand by speed and memory, devices that are alike side by side, and
  // one of these stands where another would.
  const devices = [...group].sort(
    (a, b) =>
      secondsOf(a) - secondsOf(b) ||
      costs.devices[b]!.memoryBytes - costs.devices[a]!.memoryBytes ||
      costs.devices[a]!.alike - costs.devices[b]!.alike ||
      a - b,
  );
  const perSample = devices.map(secondsOf);
  const most = devices.map((index) => {
    let resident = 0;
    let activations = 0;
    for (const { sums } of all) {
      resident = Math.max(resident, sums.parameterBytes[end]! - sums.parameterBytes[start]!);
      activations = Math.max(activations, sums.activationBytes[end]! - sums.activationBytes[start]!);
    }
    for (const { sums } of all) resident += sums.optimizerBytes[end]! - sums.optimizerBytes[start]!;
    const left = costs.devices[index]!.memoryBytes - resident;
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
