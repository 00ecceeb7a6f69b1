/** Divides a step's samples among the members of a group: whole samples, by speed, as far as each member's memory allows. */
import type { DeviceCosts } from '../cost/cluster-costs.js';
import { computeSeconds } from '../cost/duration.js';
import { activationBytes, stateBytes } from '../cost/memory.js';
import { hasBackward, type LayerRange, type TaskCosts } from '../cost/task-costs.js';
import type { Member, Stage } from '../schedule/placement.js';
import type { IntervalProblem } from './interval-problem.js';

/** A stage of these layers whose group shares the samples so; the same object for the same question, which is asked over and over. */
export function stageOn(
  problem: IntervalProblem,
  { start, end }: LayerRange,
  group: readonly number[],
  microbatches: number,
): Stage | undefined {
  const { stages } = problem.costs;
  const key = `${start} ${end} ${microbatches} ${group.join()}`;
  const known = stages.get(key);
  if (known || stages.has(key)) return known;
  const members = shareSamples(problem, { start, end }, group, microbatches);
  const stage = members && { start, end, members };
  stages.set(key, stage);
  return stage;
}

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
  const perSampleOn = group.map((device) => secondsOfSample(costs.devices[device]!, all, { start, end }));
  const secondsOf = (device: number) => perSampleOn[group.indexOf(device)]!;
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
  const { parameterBytes, optimizerBytes } = stateBytes(all, { start, end });
  const activations = Math.max(...all.map((task) => activationBytes(task, { start, end }, 1)));
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

/** Of one of the most samples that a task has, without launches. */
function secondsOfSample(device: DeviceCosts, tasks: readonly TaskCosts[], range: LayerRange): number {
  const profile = { ...device, overheadSeconds: 0 };
  const samples = Math.max(...tasks.map((task) => task.samples));
  let sum = 0;
  for (const task of tasks) {
    let seconds = computeSeconds(profile, task, 'forward', range, 1);
    if (hasBackward(task, range.end))
      seconds +=
        computeSeconds(profile, task, 'backwardInput', range, 1) +
        computeSeconds(profile, task, 'backwardWeight', range, 1);
    sum += (task.samples / samples) * seconds;
  }
  return sum;
}
