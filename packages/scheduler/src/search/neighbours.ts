/** Small changes to a placement: what local search tries next. */
import type { Placement, Stage } from '../schedule/placement.js';
import { limits } from './effort.js';
import type { IntervalProblem } from './interval-problem.js';
import { stageOn } from './share-samples.js';

interface Draft {
  readonly start: number;
  readonly end: number;
  readonly devices: readonly number[];
}

/** In a fixed order: cuts, devices between stages, devices in and out, stages merged and split, micro-batches. */
export function* neighboursOf(
  problem: IntervalProblem,
  placement: Placement,
  firstCut: number,
): Generator<Placement> {
  const { costs, groupLimit } = problem;
  const drafts = placement.stages.map(({ start, end, members }): Draft => ({
    start,
    end,
    devices: members.map(({ device }) => costs.deviceIndex(device)),
  }));
  const build = (stages: readonly Draft[], microbatches = placement.microbatches): Placement | undefined => {
    const built: Stage[] = [];
    for (const [index, { start, end, devices }] of stages.entries()) {
      if (end <= start || devices.length === 0 || devices.length > groupLimit) return undefined;
      if (index > 0 && start < firstCut) return undefined;
      const stage = stageOn(problem, { start, end }, devices, microbatches);
      if (!stage) return undefined;
      built.push(stage);
    }
    return { ...placement, microbatches, stages: built };
  };
  const changed = (changes: Readonly<Record<number, Partial<Draft>>>) =>
    build(drafts.map((draft, index) => ({ ...draft, ...changes[index] })));
  const replaced = (index: number, count: number, ...others: readonly Draft[]) =>
    build(drafts.toSpliced(index, count, ...others));
  const candidates = function* (): Generator<Placement | undefined> {
    const pairs = drafts.slice(1).map((next, i) => ({ i, draft: drafts[i]!, next }));
    for (const { i, draft } of pairs)
      for (const by of [-1, 1, -2, 2]) {
        const cut = draft.end + by;
        yield changed({ [i]: { end: cut }, [i + 1]: { start: cut } });
      }
    // A layer passed from one end of a run of stages to the other.
    for (const i of drafts.keys())
      for (let j = i + 2; j < Math.min(drafts.length, i + 1 + limits.passingStages); j++)
        for (const by of [-1, 1])
          yield build(
            drafts.map(({ start, end, devices }, index) => ({
              start: index > i && index <= j ? start + by : start,
              end: index >= i && index < j ? end + by : end,
              devices,
            })),
          );
    const exchanged = (devices: readonly number[], gone: number, come: readonly number[] = []) => [
      ...devices.filter((device) => device !== gone),
      ...come,
    ];
    for (const [i, { devices: ours }] of drafts.entries())
      for (const [j, { devices: theirs }] of drafts.entries()) {
        if (i === j) continue;
        for (const device of ours) {
          yield changed({ [i]: { devices: exchanged(ours, device) }, [j]: { devices: [...theirs, device] } });
          if (i > j) continue;
          for (const other of theirs)
            yield changed({
              [i]: { devices: exchanged(ours, device, [other]) },
              [j]: { devices: exchanged(theirs, other, [device]) },
            });
        }
      }
    const used = new Set(drafts.flatMap(({ devices }) => devices));
    for (const [i, { devices }] of drafts.entries()) {
      for (const device of devices) yield changed({ [i]: { devices: exchanged(devices, device) } });
      for (const device of costs.devices.keys()) {
        if (used.has(device)) continue;
        yield changed({ [i]: { devices: [...devices, device] } });
        for (const other of devices) yield changed({ [i]: { devices: exchanged(devices, other, [device]) } });
      }
    }
    for (const { i, draft, next } of pairs) {
      const { start } = draft;
      const { end } = next;
      yield replaced(i, 2, { start, end, devices: [...draft.devices, ...next.devices] });
      // The whole stage goes: a neighbour takes its layers, and its devices stay unused.
      for (const { devices } of [draft, next]) yield replaced(i, 2, { start, end, devices });
    }
    for (const [i, { start, end, devices }] of drafts.entries()) {
      if (devices.length < 2 || end - start < 2) continue;
      const half = devices.length >> 1;
      const middle = (start + end) >> 1;
      const below = { start, end: middle, devices: devices.slice(0, half) };
      yield replaced(i, 1, below, { start: middle, end, devices: devices.slice(half) });
    }
    for (const microbatches of problem.microbatches)
      if (microbatches !== placement.microbatches) yield build(drafts, microbatches);
  };
  for (const candidate of candidates()) if (candidate) yield candidate;
}
