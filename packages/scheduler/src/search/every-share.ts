/** Every way in which a group can share a step's samples: the order of its members, and whole samples for each. */
import type { Member } from '../schedule/placement.js';
import type { IntervalProblem } from './interval-problem.js';

/**
 * Members take contiguous samples in their order, so the order is part of the question; interchangeable devices keep theirs.
 *
 * @param mayTake whether a member may take so many samples, of the task that has most; asked for more and more
 */
export function* everyShare(
  { costs, tasks }: IntervalProblem,
  group: readonly number[],
  mayTake: (device: number, samples: number) => boolean,
): Generator<Member[]> {
  const samples = Math.max(...tasks.map((name) => costs.taskNamed(name).samples));
  const extend = function* (
    members: readonly Member[],
    rest: readonly number[],
    left: number,
  ): Generator<Member[]> {
    if (rest.length === 0) yield [...members];
    for (const [index, device] of rest.entries()) {
      const { id, interchangeableWith } = costs.devices[device]!;
      if (
        rest
          .slice(0, index)
          .some((other) => costs.devices[other]!.interchangeableWith === interchangeableWith)
      )
        continue;
      const others = rest.toSpliced(index, 1);
      const most = left - others.length;
      for (let count = others.length === 0 ? left : 1; count <= most; count++) {
        if (!mayTake(device, count)) break;
        yield* extend([...members, { device: id, share: count / samples }], others, left - count);
      }
    }
  };
  if (group.length <= samples) yield* extend([], group, samples);
}
