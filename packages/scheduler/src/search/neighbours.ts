/** Small changes to a placement: what local search tries next. */
import type { Placement, Stage } from '../schedule/placement.js';
import type { IntervalProblem } from './interval-problem.js';
import { shareSamples } from './share-samples.js';

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
      const members = shareSamples(problem, { start, end }, devices, microbatches);
      if (!members) return undefined;
      built.push({ start, end, members });
    }
    return { ...placement, microbatches, stages: built };
  };
  const changed = (changes: Readonly<Record<number, Partial<Draft>>>) =>
    build(drafts.map((draft, index) => ({ ...draft, ...changes[index] })));
  const candidates = function* (): Generator<Placement | undefined> {
    const count = drafts.length;
    for (let i = 0; i + 1 < count; i++)
      for (const by of [-1, 1, -2, 2]) {
        const cut = drafts[i]!.end + by;
        yield changed({ [i]: { end: cut }, [i + 1]: { start: cut } });
      }
    // A layer passed from one end of a run of stages to the other.
    for (let i = 0; i < count; i++)
      for (let j = i + 2; j < Math.min(count, i + 9); j++)
        for (const by of [-1, 1]) {
          const changes: Record<number, Partial<Draft>> = {
            [i]: { end: drafts[i]!.end + by },
            [j]: { start: drafts[j]!.start + by },
          };
          for (let k = i + 1; k < j; k++)
            changes[k] = { start: drafts[k]!.start + by, end: drafts[k]!.end + by };
          yield changed(changes);
        }
    const without = (devices: readonly number[], device: number) =>
      devices.filter((other) => other !== device);
    for (let i = 0; i < count; i++)
      for (let j = 0; j < count; j++) {
        if (i === j) continue;
        for (const device of drafts[i]!.devices) {
          yield changed({
            [i]: { devices: without(drafts[i]!.devices, device) },
            [j]: { devices: [...drafts[j]!.devices, device] },
          });
          if (i < j)
            for (const other of drafts[j]!.devices)
              yield changed({
                [i]: { devices: [...without(drafts[i]!.devices, device), other] },
                [j]: { devices: [...without(drafts[j]!.devices, other), device] },
              });
        }
      }
    const used = new Set(drafts.flatMap(({ devices }) => devices));
    for (let i = 0; i < count; i++) {
      for (const device of drafts[i]!.devices)
        yield changed({ [i]: { devices: without(drafts[i]!.devices, device) } });
      for (let device = 0; device < costs.devices.length; device++) {
        if (used.has(device)) continue;
        yield changed({ [i]: { devices: [...drafts[i]!.devices, device] } });
        for (const other of drafts[i]!.devices)
          yield changed({ [i]: { devices: [...without(drafts[i]!.devices, other), device] } });
      }
    }
    for (let i = 0; i + 1 < count; i++) {
      const [a, b] = [drafts[i]!, drafts[i + 1]!];
      yield build([
        ...drafts.slice(0, i),
        { start: a.start, end: b.end, devices: [...a.devices, ...b.devices] },
        ...drafts.slice(i + 2),
      ]);
      // The whole stage goes: a neighbour takes its layers, and its devices stay unused.
      for (const devices of [a.devices, b.devices])
        yield build([...drafts.slice(0, i), { start: a.start, end: b.end, devices }, ...drafts.slice(i + 2)]);
    }
    for (const [i, { start, end, devices }] of drafts.entries()) {
      if (devices.length < 2 || end - start < 2) continue;
      const half = devices.length >> 1;
      const middle = (start + end) >> 1;
      yield build([
        ...drafts.slice(0, i),
        { start, end: middle, devices: devices.slice(0, half) },
        { start: middle, end, devices: devices.slice(half) },
        ...drafts.slice(i + 1),
      ]);
    }
    for (const microbatches of problem.microbatches)
      if (microbatches !== placement.microbatches) yield build(drafts, microbatches);
  };
  for (const candidate of candidates()) if (candidate) yield candidate;
}
