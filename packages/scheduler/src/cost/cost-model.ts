/**
 * The one definition of cost: `durationOf` prices an instruction; planner, simulator and report all call it.
 *
 *   forward         samples · Σ forwardFlops · work / rate.forward + overhead
 *   backwardInput   samples · Σ inputFlops · work / rate.input + overhead      (only layers above the lowest trained one owe it)
 *   backwardWeight  samples · Σ weightFlops · work / rate.weight               (follows backwardInput in one launch)
 *   send            bytes / (bytesPerSecond · (1 − loss)) + latency
 *   cache           bytes / storageBytesPerSecond
 *   all-reduce      2 (g − 1) / g · bytes per member over its slowest link; on a shared medium all members' bytes cross the same air
 */
import { type Cluster, resolveRoutes, type Route, type Routes } from '../problem/cluster.js';
import type { CollectiveInstruction, Instruction } from '../schedule/instruction.js';
import {
  dealPlacement,
  dealSamples,
  type Member,
  type MemberLoad,
  memberLoads,
  type Placement,
  type SampleDeal,
} from '../schedule/placement.js';
import { lowestTrainedLayer, type Workload } from '../problem/workload.js';

/** Running sums over the layers, so that a stage's cost is one subtraction: `sum[end] − sum[start]`. */
export interface LayerSums {
  readonly forwardFlops: Float64Array;
  readonly inputFlops: Float64Array;
  readonly weightFlops: Float64Array;
  readonly parameterBytes: Float64Array;
  readonly gradientBytes: Float64Array;
  readonly optimizerBytes: Float64Array;
  readonly activationBytes: Float64Array;
  readonly outputBytes: readonly number[];
}

export interface TaskCosts {
  readonly name: string;
  readonly samples: number;
  readonly sums: LayerSums;
  /** Number of layers when nothing trains. */
  readonly lowestTrained: number;
}

export interface DeviceCosts {
  readonly id: string;
  readonly forwardRate: number;
  readonly inputRate: number;
  readonly weightRate: number;
  readonly memoryBytes: number;
  readonly overheadSeconds: number;
  readonly storageBytesPerSecond: number;
  /** Index of the first device that differs in nothing but its name; its own where there is none, or where a link names it. */
  readonly alike: number;
}

/** A cluster, resolved once for many workloads. */
export interface ClusterCosts {
  readonly cluster: Cluster;
  readonly devices: readonly DeviceCosts[];
  readonly routes: Routes;
  readonly deviceIndex: (id: string) => number;
}

/** Workloads and cluster, resolved once for many questions; what it remembers changes no answer. */
export interface CostModel extends ClusterCosts {
  readonly layerCount: number;
  readonly tasks: readonly TaskCosts[];
  readonly taskIndex: (name: string) => number;
  /** Of one optimizer step. */
  readonly samplesOf: (task: string) => number;
  /** How a placement's samples fall on its members; remembered as long as the placement is. */
  readonly dealOf: (placement: Placement) => SampleDeal;
  /** What falls to each member, from a stage's part of a deal. */
  readonly loadsOf: (rows: SampleDeal[number][number]) => readonly MemberLoad[];
}

/** What `durationOf` must know of the device's stage. */
export type StageRange = { readonly start: number; readonly end: number } & Pick<Member, 'work'>;

/** @param opened the cluster as `openCluster` gives it, where many cost models share one */
export function openCostModel(
  workloads: readonly Workload[],
  cluster: Cluster,
  opened: ClusterCosts = openCluster(cluster),
): CostModel {
  const taskIndices = new Map(workloads.map(({ name }, index) => [name, index]));
  const taskIndex = lookUp(taskIndices, 'workload');
  const samplesOf = (task: string) => workloads[taskIndex(task)]!.samples;
  const deals = new WeakMap<Placement, SampleDeal>();
  // Placements that a search looks at have most of their stages in common.
  const stageDeals = new Map<string, number[][]>();
  const dealOnce = (samples: number, microbatches: number, shares: readonly number[]) => {
    const key =
      shares.length === 1 ? `${samples}|${microbatches}` : `${samples}|${microbatches}|${shares.join()}`;
    let rows = stageDeals.get(key);
    if (!rows) stageDeals.set(key, (rows = dealSamples(samples, microbatches, shares)));
    return rows;
  };
  const loads = new WeakMap<SampleDeal[number][number], readonly MemberLoad[]>();
  return {
    ...opened,
    samplesOf,
    dealOf(placement) {
      let deal = deals.get(placement);
      if (!deal) deals.set(placement, (deal = dealPlacement(placement, samplesOf, dealOnce)));
      return deal;
    },
    loadsOf(rows) {
      let found = loads.get(rows);
      if (!found) loads.set(rows, (found = memberLoads(rows)));
      return found;
    },
    layerCount: workloads[0]?.layers.length ?? 0,
    tasks: workloads.map((workload) => ({
      name: workload.name,
      samples: workload.samples,
      sums: sumLayers(workload),
      lowestTrained: lowestTrainedLayer(workload),
    })),
    taskIndex,
  };
}

export function openCluster(cluster: Cluster): ClusterCosts {
  const deviceIndices = new Map(cluster.devices.map(({ id }, index) => [id, index]));
  const alike = alikeDevices(cluster);
  return {
    cluster,
    devices: cluster.devices.map((device, index) => {
      const rates = device.flopsPerSecond;
      const share = device.sustainedShare ?? 1;
      const of = (kind: 'forward' | 'input' | 'weight') =>
        share * (typeof rates === 'number' ? rates : rates[kind]);
      return {
        id: device.id,
        forwardRate: of('forward'),
        inputRate: of('input'),
        weightRate: of('weight'),
        memoryBytes: device.memoryBytes,
        overheadSeconds: device.overheadSeconds ?? 0,
        storageBytesPerSecond: device.storageBytesPerSecond ?? Infinity,
        alike: alike[index]!,
      };
    }),
    routes: resolveRoutes(cluster),
    deviceIndex: lookUp(deviceIndices, 'device'),
  };
}

const lookUp = (table: ReadonlyMap<string, number>, kind: string) => (name: string) => {
  const index = table.get(name);
  if (index === undefined) throw new Error(`scheduler: there is no ${kind} "${name}" in this problem`);
  return index;
};

function alikeDevices({ devices, links }: Cluster): number[] {
  const named = new Set(links.flatMap(({ from, to }) => [from, to]));
  const first = new Map<string, number>();
  return devices.map((device, index) => {
    const look = named.has(device.id) ? `named ${device.id}` : JSON.stringify({ ...device, id: '' });
    if (!first.has(look)) first.set(look, index);
    return first.get(look)!;
  });
}

function sumLayers(workload: Workload): LayerSums {
  const { layers } = workload;
  const lowest = lowestTrainedLayer(workload);
  const running = (of: (index: number) => number) => {
    const sums = new Float64Array(layers.length + 1);
    for (let index = 0; index < layers.length; index++) sums[index + 1] = sums[index]! + of(index);
    return sums;
  };
  return {
    forwardFlops: running((i) => layers[i]!.forwardFlops),
    inputFlops: running((i) => layers[i]!.inputFlops),
    weightFlops: running((i) => layers[i]!.weightFlops),
    parameterBytes: running((i) => layers[i]!.parameterBytes),
    gradientBytes: running((i) => layers[i]!.gradientBytes),
    optimizerBytes: running((i) => layers[i]!.optimizerBytes),
    // A frozen prefix has no backward pass, so it keeps nothing, whatever the layer would keep elsewhere.
    activationBytes: running((i) => (i < lowest ? 0 : layers[i]!.activationBytes)),
    outputBytes: layers.map(({ outputBytes }) => outputBytes),
  };
}

/** Whether a stage that ends before layer `end` has a backward pass for the task. */
export const hasBackward = ({ lowestTrained }: TaskCosts, end: number): boolean => end > lowestTrained;

/** Whether the task's gradient crosses the boundary below layer `start`: something at or below it trains. */
export const gradientCrosses = ({ lowestTrained }: TaskCosts, start: number): boolean =>
  start > lowestTrained;

/** Seconds of computing `samples` samples of one kind of work on a device. */
export function computeSeconds(
  device: DeviceCosts,
  { sums }: TaskCosts,
  kind: 'forward' | 'backwardInput' | 'backwardWeight',
  { start, end, work = 1 }: StageRange,
  samples: number,
): number {
  if (samples === 0) return 0;
  switch (kind) {
    case 'forward':
      return (
        ((sums.forwardFlops[end]! - sums.forwardFlops[start]!) * samples * work) / device.forwardRate +
        device.overheadSeconds
      );
    case 'backwardInput':
      return (
        ((sums.inputFlops[end]! - sums.inputFlops[start]!) * samples * work) / device.inputRate +
        device.overheadSeconds
      );
    case 'backwardWeight':
      return ((sums.weightFlops[end]! - sums.weightFlops[start]!) * samples * work) / device.weightRate;
  }
}

/** Seconds a message keeps its link, or its share of a medium's air, busy; latency comes on top. */
export const airSeconds = ({ bytesPerSecond }: Route, bytes: number): number => bytes / bytesPerSecond;

/** Bytes of one sample across the boundary below layer `start`, the same for an activation and its gradient. */
export const boundaryBytes = ({ sums }: TaskCosts, start: number): number => sums.outputBytes[start - 1]!;

export interface CollectiveCost {
  /** Time on the air of `medium`, or over the slowest link. */
  readonly seconds: number;
  readonly latencySeconds: number;
  /** -1 when the members have links of their own. */
  readonly medium: number;
  /** Over all members. */
  readonly bytes: number;
}

/** A ring of `members` (device indices), as NCCL and Gloo do it. */
export function collectiveCost(
  { routes }: CostModel,
  { operation, bytes, messages }: Pick<CollectiveInstruction, 'operation' | 'bytes' | 'messages'>,
  members: readonly number[],
): CollectiveCost {
  const count = members.length;
  if (count < 2) return { seconds: 0, latencySeconds: 0, medium: -1, bytes: 0 };
  const rounds = (operation === 'allReduce' ? 2 : 1) * (count - 1);
  const perMember = (rounds / count) * bytes;
  let slowest = Infinity;
  let latency = 0;
  let medium: number | undefined;
  for (let index = 0; index < count; index++) {
    const route = routes.route(members[index]!, members[(index + 1) % count]!);
    if (!route) return { seconds: Infinity, latencySeconds: 0, medium: -1, bytes: 0 };
    slowest = Math.min(slowest, route.bytesPerSecond);
    latency = Math.max(latency, route.latencySeconds);
    medium = medium === undefined || medium === route.medium ? route.medium : -1;
  }
  const shared = medium !== undefined && medium >= 0;
  return {
    seconds: (shared ? perMember * count : perMember) / slowest,
    latencySeconds: latency * rounds * messages,
    medium: shared ? medium! : -1,
    bytes: perMember * count,
  };
}

/**
 * Seconds an instruction takes when nothing else competes with it; receiving is waiting and costs nothing of its own.
 *
 * @param device where it runs
 */
export function durationOf(
  costs: CostModel,
  instruction: Instruction,
  device: number,
  stage: StageRange,
): number {
  const task = costs.tasks[costs.taskIndex(instruction.task)]!;
  const at = costs.devices[device]!;
  switch (instruction.type) {
    case 'load':
      return 0;
    case 'forward':
    case 'backwardInput':
    case 'backwardWeight':
      return computeSeconds(at, task, instruction.type, stage, instruction.samples);
    case 'update':
      return at.overheadSeconds;
    case 'cacheWrite':
    case 'cacheRead':
      return (instruction.samples * boundaryBytes(task, task.lowestTrained)) / at.storageBytesPerSecond;
    case 'sendActivation':
    case 'sendGradient': {
      const route = costs.routes.route(device, costs.deviceIndex(instruction.peer));
      if (!route) return Infinity;
      const bytes = messageBytes(task, instruction, stage);
      return airSeconds(route, bytes) + route.latencySeconds;
    }
    case 'receiveActivation':
    case 'receiveGradient':
      return 0;
    case 'collective': {
      const cost = collectiveCost(costs, instruction, instruction.members.map(costs.deviceIndex));
      return cost.seconds + cost.latencySeconds;
    }
    default:
      return instruction satisfies never;
  }
}

/** Bytes a send carries. */
export const messageBytes = (
  task: TaskCosts,
  { type, samples }: { readonly type: string; readonly samples: number },
  { start, end }: StageRange,
): number => samples * boundaryBytes(task, type === 'sendActivation' ? end : start);
