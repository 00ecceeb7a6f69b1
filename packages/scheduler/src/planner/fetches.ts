/** What jobs fetch before they start: base layers and ancestors' segments that their devices do not hold, and what devices then hold. */
import type { CostModel } from '../cost/cost-model.js';
import { gradientBytes } from '../cost/task-costs.js';
import { layerStates } from '../cost/memory.js';
import type { Job, TaskGraph } from './jobs.js';
import type { Mode } from './modes.js';
import { type BaseHolders, type Transfer, TransferList } from './transfers.js';

/** The run that is planned, in the form in which its player asks for it. */
export interface Run {
  readonly graph: TaskGraph;
  /** Of all tasks on the whole cluster. */
  readonly costs: CostModel;
  readonly holders: BaseHolders;
}

/** A job and how it runs; a list of them says in which order devices take them. */
export interface Assignment {
  readonly job: Job;
  readonly mode: Mode;
  /** Of the mode, with the answers that the job gives; alone on the network. */
  readonly seconds: number;
}

/** The layers that a mode runs on a device, over all its intervals. */
interface LaneLayers {
  readonly device: number;
  readonly start: number;
  readonly end: number;
}

/** For each assignment its fetches, in the order of the list; undefined where no link leads to what must be fetched. */
export function fetchesOf(run: Run, order: readonly Assignment[]): (readonly Transfer[])[] | undefined {
  const { graph, costs, holders } = run;
  const { layerCount } = costs;
  const bases = new Map<number, Uint8Array>();
  /** `segments.get(device)[task]`: the layers of which a device holds the finished segment. */
  const segments = new Map<number, Map<number, Uint8Array>>();
  const trainedOn = new Map<number, readonly LaneLayers[]>();
  const layerBytes = layerStates(costs.tasks, layerCount).map(({ parameterBytes }) => parameterBytes);
  const hold = (device: number, task: number): Uint8Array => {
    let held = segments.get(device);
    if (!held) segments.set(device, (held = new Map()));
    let layers = held.get(task);
    if (!layers) held.set(task, (layers = new Uint8Array(layerCount)));
    return layers;
  };
  const fetches: Transfer[][] = [];
  for (const { job, mode } of order) {
    const list = new TransferList(holders.routes);
    const lanes = laneLayers(mode, holders);
    const ancestors = new Set(job.tasks.flatMap((task) => [...graph.ancestors[task]!]));
    for (const { device, start, end } of lanes) {
      if (!holders.holdsBase(device)) {
        const held = bases.get(device) ?? new Uint8Array(layerCount);
        let bytes = 0;
        for (let layer = start; layer < end; layer++) if (!held[layer]) bytes += layerBytes[layer]!;
        list.add('base', [], bytes, holders.keeper === undefined ? [] : [holders.keeper], device);
        bases.set(device, afterFetch(run, mode, device, { held, start, end, layerBytes }));
      }
      for (const ancestor of ancestors) {
        const held = hold(device, ancestor);
        for (let layer = start; layer < end; layer++) {
          if (held[layer]) continue;
          held[layer] = 1;
          const bytes = gradientBytes(costs.tasks[ancestor]!, { start: layer, end: layer + 1 });
          if (bytes === 0) continue;
          const sources = trainedOn
            .get(ancestor)!
            .filter((trained) => layer >= trained.start && layer < trained.end)
            .map((trained) => trained.device);
          list.add('segment', [costs.tasks[ancestor]!.name], bytes, sources, device);
        }
      }
    }
    if (!list.possible) return undefined;
    for (const task of job.tasks) {
      const last = mode.intervals.findLast(({ problem }) => problem.tasks.includes(costs.tasks[task]!.name))!;
      const trained = stagesOf(last, holders);
      trainedOn.set(task, trained);
      for (const { device, start, end } of trained) hold(device, task).fill(1, start, end);
    }
    fetches.push(list.all);
  }
  return fetches;
}

const stagesOf = (
  { assessment: { placement } }: Mode['intervals'][number],
  { deviceIndex }: BaseHolders,
): LaneLayers[] =>
  placement.stages.flatMap(({ start, end, members }) =>
    members.map(({ device }) => ({ device: deviceIndex(device), start, end })),
  );

/** A device may have other layers in another interval; what lies between comes along. */
function laneLayers({ intervals }: Mode, holders: BaseHolders): LaneLayers[] {
  const ranges = new Map<number, LaneLayers>();
  // What later intervals need more than the first is moved between them.
  for (const { device, start, end } of stagesOf(intervals[0]!, holders))
    ranges.set(device, { device, start, end });
  return [...ranges.values()];
}

/** The base layers a device holds after a fetch: all it ever had while they fit beside the job, else only the job's. */
function afterFetch(
  { costs }: Run,
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
  const list = new TransferList(holders.routes);
  for (const index of job.tasks) {
    const task = costs.tasks[index]!;
    const last = mode.intervals.findLast(({ problem }) => problem.tasks.includes(task.name))!;
    for (const { start, end, members } of last.assessment.placement.stages)
      list.add(
        'segment',
        [task.name],
        gradientBytes(task, { start, end }),
        members.map(({ device }) => holders.deviceIndex(device)),
        holders.keeper,
      );
  }
  return list.possible ? list.all : undefined;
}
