/** What jobs fetch before they start: base layers and ancestors' segments that their devices do not hold, and what devices then hold. */
import type { CostModel } from '../cost/cost-model.js';
import { gradientBytes, type LayerRange } from '../cost/task-costs.js';
import { layerStates } from '../cost/memory.js';
import type { Job, TaskGraph } from './jobs.js';
import type { Assignment, Run } from './run.js';
import type { Mode, ModeInterval } from './modes.js';
import { type BaseHolders, createTransferList, type Transfer, type TransferList } from './transfers.js';

/** The layers that a mode runs on a device. */
interface LaneLayers extends LayerRange {
  readonly device: number;
}

/** For each assignment its fetches, in the order of the list; undefined where no link leads to what must be fetched. */
export function fetchesOf(run: Run, order: readonly Assignment[]): (readonly Transfer[])[] | undefined {
  const { graph, costs, holders } = run;
  const { layerCount, tasks } = costs;
  const bases = new Map<number, Uint8Array>();
  /** Ranges of layers of which a device holds a task's finished segment. */
  const segments = new Map<number, LayerRange[]>();
  const heldOn = (device: number, task: number): LayerRange[] => {
    const key = device * tasks.length + task;
    let held = segments.get(key);
    if (!held) segments.set(key, (held = []));
    return held;
  };
  const trainedOn = new Map<number, readonly LaneLayers[]>();
  const fetches: Transfer[][] = [];
  for (const { job, mode } of order) {
    const list = createTransferList(holders.routes);
    const ancestors = ancestorsOf(graph, job);
    for (const { device, start, end } of lanesOf(mode.intervals[0]!, holders)) {
      if (!holders.holdsBase(device)) {
        const held = bases.get(device) ?? new Uint8Array(layerCount);
        bases.set(device, fetchBase(run, { mode, device, start, end, held }, list));
      }
      for (const ancestor of ancestors) {
        const held = heldOn(device, ancestor);
        for (const missing of without({ start, end }, held)) {
          held.push(missing);
          // Members of a stage hold the same layers; any of them may send.
          for (const part of distinctRanges(trainedOn.get(ancestor)!)) {
            const common = {
              start: Math.max(missing.start, part.start),
              end: Math.min(missing.end, part.end),
            };
            if (common.start >= common.end) continue;
            const bytes = gradientBytes(tasks[ancestor]!, common);
            if (bytes > 0) list.add('segment', [tasks[ancestor]!.name], bytes, part.devices, device);
          }
        }
      }
    }
    if (!list.possible()) return undefined;
    for (const task of job.tasks) {
      const trained = lanesOf(lastOf(mode, tasks[task]!.name), holders);
      trainedOn.set(task, trained);
      for (const { device, start, end } of trained) heldOn(device, task).push({ start, end });
    }
    fetches.push(list.all());
  }
  return fetches;
}

function ancestorsOf({ ancestors }: TaskGraph, { tasks }: Job): Iterable<number> {
  return tasks.length === 1 ? ancestors[tasks[0]!]! : new Set(tasks.flatMap((task) => [...ancestors[task]!]));
}

/** What of a range is in none of the others. */
function without(range: LayerRange, others: readonly LayerRange[]): LayerRange[] {
  let left = [range];
  for (const { start, end } of others)
    left = left.flatMap((part) => {
      if (end <= part.start || start >= part.end) return [part];
      return [
        ...(part.start < start ? [{ start: part.start, end: start }] : []),
        ...(end < part.end ? [{ start: end, end: part.end }] : []),
      ];
    });
  return left;
}

/** Each range once, with the devices that hold it. */
function distinctRanges(lanes: readonly LaneLayers[]): (LayerRange & { readonly devices: number[] })[] {
  const ranges = new Map<number, LayerRange & { readonly devices: number[] }>();
  for (const { device, start, end } of lanes) {
    const known = ranges.get(start);
    if (known) known.devices.push(device);
    else ranges.set(start, { start, end, devices: [device] });
  }
  return [...ranges.values()];
}

/** Adds the base layers that a device misses, and returns those that it then holds. */
function fetchBase(
  { costs, holders }: Run,
  { mode, device, start, end, held }: LaneLayers & { readonly mode: Mode; readonly held: Uint8Array },
  list: TransferList,
): Uint8Array {
  const layerBytes = layerStates(costs.tasks, costs.layerCount).map(({ parameterBytes }) => parameterBytes);
  let bytes = 0;
  for (let layer = start; layer < end; layer++) if (!held[layer]) bytes += layerBytes[layer]!;
  list.add('base', [], bytes, holders.keeper === undefined ? [] : [holders.keeper], device);
  return afterFetch(costs, mode, device, { held, start, end, layerBytes });
}

const lastOf = ({ intervals }: Mode, task: string): ModeInterval =>
  intervals.findLast(({ problem }) => problem.tasks.includes(task))!;

/** The layers on each device of an interval; what later ones need more is moved between them. */
const lanesOf = ({ assessment: { placement } }: ModeInterval, { deviceIndex }: BaseHolders): LaneLayers[] =>
  placement.stages.flatMap(({ start, end, members }) =>
    members.map(({ device }) => ({ device: deviceIndex(device), start, end })),
  );

/** The base layers a device holds after a fetch: all it ever had while they fit beside the job, else only the job's. */
function afterFetch(
  costs: CostModel,
  { intervals }: Mode,
  device: number,
  {
    held,
    start,
    end,
    layerBytes,
  }: { held: Uint8Array; start: number; end: number; layerBytes: readonly number[] },
): Uint8Array {
  const { id, memoryBytes, storageBytes } = costs.cluster.devices[device]!;
  const kept = Uint8Array.from(held);
  kept.fill(1, start, end);
  let bytes = 0;
  let others = 0;
  for (const [layer, has] of kept.entries())
    if (has && (layer < start || layer >= end)) others += layerBytes[layer]!;
    else if (has) bytes += layerBytes[layer]!;
  const peak = Math.max(...intervals.map(({ assessment }) => assessment.peakMemoryBytes[id] ?? 0));
  if (storageBytes === undefined ? peak + others <= memoryBytes : bytes + others <= storageBytes) return kept;
  return new Uint8Array(held.length).fill(1, start, end);
}

/** The finished segments of a job on their way to the keeper. */
export function collectsOf({ costs, holders }: Run, { job, mode }: Assignment): Transfer[] | undefined {
  if (holders.keeper === undefined) return [];
  const list = createTransferList(holders.routes);
  for (const index of job.tasks) {
    const task = costs.tasks[index]!;
    for (const { start, end, members } of lastOf(mode, task.name).assessment.placement.stages)
      list.add(
        'segment',
        [task.name],
        gradientBytes(task, { start, end }),
        members.map(({ device }) => holders.deviceIndex(device)),
        holders.keeper,
      );
  }
  return list.possible() ? list.all() : undefined;
}
