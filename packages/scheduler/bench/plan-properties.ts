/**
 * What must hold of every plan, each as a ratio that is 1 at most: the plan's time over that of something it may not be worse than. What is
 * not comparable, because nothing fits, is left out.
 */
import {
  type Cluster,
  lowerBound,
  periodBound,
  type Plan,
  plan,
  SchedulerError,
  type Workload,
} from '@contextlora/scheduler';
import { comparePeers } from '@contextlora/scheduler/peers';

import { everyWorth, fastestRun, intervalOf } from '../test/brute-force.js';
import { type GraphSizes, randomGraph, type RandomGraph } from './random-graphs.js';
import { seededRandom } from './random-problems.js';

export interface Finding {
  readonly property: string;
  readonly ratio: number;
  /** The most that is allowed; 1 when absent. */
  readonly most?: number;
}

export interface PropertyGroup {
  /** Largest problems drawn. */
  readonly sizes: GraphSizes;
  findings(graph: RandomGraph, number: number): Generator<Finding>;
}

/** Undefined where nothing fits. */
function planned(workloads: readonly Workload[], cluster: Cluster): Plan | undefined {
  try {
    return plan(workloads, cluster);
  } catch (error) {
    if (error instanceof SchedulerError && error.code === 'SCHEDULER_NOTHING_FITS') return undefined;
    throw error;
  }
}

const over = (property: string, seconds: number, other: number): Finding => ({
  property,
  ratio: seconds === other ? 1 : Math.min(seconds / other, Number.MAX_VALUE),
});
const secondsOf = (found: Plan | undefined) => found?.totalSeconds ?? Infinity;

/** Never worse than a peer, with more of anything, or under other names; k times the costs take k times as long. */
function* neverWorse({ workloads, cluster }: RandomGraph, number: number): Generator<Finding> {
  const seconds = secondsOf(planned(workloads, cluster));
  for (const { strategy, totalSeconds } of comparePeers(workloads, cluster, { cache: true }))
    yield over(`than ${strategy}`, seconds, totalSeconds);
  if (seconds === Infinity) return;
  const random = seededRandom(number + 0.5);
  const factor = 1 + 3 * random();
  const { devices, links } = cluster;
  const more: Readonly<Record<string, Cluster>> = {
    'one more device': {
      ...cluster,
      devices: [...devices, { id: 'more', flopsPerSecond: factor, memoryBytes: 1e9 * random() }],
    },
    'more memory': {
      ...cluster,
      devices: devices.map((device) => ({ ...device, memoryBytes: factor * device.memoryBytes })),
    },
    'faster links': {
      ...cluster,
      links: links.map((link) => ({ ...link, bytesPerSecond: factor * link.bytesPerSecond })),
    },
  };
  for (const [name, better] of Object.entries(more))
    yield over(`with ${name}`, secondsOf(planned(workloads, better)), seconds);
  yield* same('other names and order', secondsOf(planned(...renamed(workloads, cluster))), seconds);
  for (const times of [4, 3])
    yield* same(
      `costs times ${times}`,
      secondsOf(planned(...scaled(workloads, cluster, times))) / times,
      seconds,
    );
}

function* same(property: string, seconds: number, other: number): Generator<Finding> {
  yield { property, ratio: Math.min(Math.max(seconds / other, other / seconds), Number.MAX_VALUE) };
}

function renamed(workloads: readonly Workload[], cluster: Cluster): [Workload[], Cluster] {
  const called = (id: string) => (id === '*' ? id : `z${9 - Number(id.slice(1))}`);
  const { devices, links, resident, keeper } = cluster;
  return [
    workloads
      .map((workload) => ({
        ...workload,
        name: `other ${workload.name}`,
        dependsOn: (workload.dependsOn ?? []).map((name) => `other ${name}`),
      }))
      .reverse(),
    {
      devices: devices.map((device) => ({ ...device, id: called(device.id) })).reverse(),
      links: links.map((link) => ({ ...link, from: called(link.from), to: called(link.to) })),
      ...(resident && { resident: resident.map(called) }),
      ...(keeper !== undefined && { keeper: called(keeper) }),
    },
  ];
}

/** All work, bytes, memory, latencies and launches times k. */
function scaled(workloads: readonly Workload[], cluster: Cluster, times: number): [Workload[], Cluster] {
  return [
    workloads.map((workload) => ({
      ...workload,
      layers: workload.layers.map(({ name, ...costs }) => ({
        name,
        forwardFlops: times * costs.forwardFlops,
        inputFlops: times * costs.inputFlops,
        weightFlops: times * costs.weightFlops,
        parameterBytes: times * costs.parameterBytes,
        gradientBytes: times * costs.gradientBytes,
        optimizerBytes: times * costs.optimizerBytes,
        activationBytes: times * costs.activationBytes,
        outputBytes: times * costs.outputBytes,
      })),
    })),
    {
      ...cluster,
      devices: cluster.devices.map((device) => ({
        ...device,
        memoryBytes: times * device.memoryBytes,
        overheadSeconds: times * (device.overheadSeconds ?? 0),
      })),
      links: cluster.links.map((link) => ({ ...link, latencySeconds: times * link.latencySeconds })),
    },
  ];
}

/** Against everything there is, with nothing to fetch and nobody else on the air; and what the bounds say of it. */
function* exact({ workloads: drawn, cluster: { devices, links } }: RandomGraph): Generator<Finding> {
  const workloads = drawn.map(({ name, samples, steps = 1, dependsOn = [], layers }): Workload => ({
    name,
    samples,
    steps: Math.min(2, steps),
    dependsOn,
    layers: layers.map((layer) => ({ ...layer, gradientBytes: 0 })),
  }));
  const cluster: Cluster = {
    devices,
    links: links.map(({ medium, ...link }) =>
      workloads.length > 1 || medium === undefined ? link : { ...link, medium },
    ),
  };
  const found = planned(workloads, cluster);
  const best = fastestRun(workloads, cluster);
  if (best < Infinity || found)
    yield found?.search === 'exact'
      ? over('than brute force, exact', secondsOf(found), best)
      : { ...over('than brute force, bounded, 1 % allowed', secondsOf(found), best), most: 1.01 };
  if (found) {
    yield over('bound of the plan over brute force', found.lowerBoundSeconds, best);
    yield over('bound of the plan over the plan', found.lowerBoundSeconds, found.totalSeconds);
  }
  const problem = intervalOf([workloads[0]!], cluster, cluster.devices);
  const bound = lowerBound(problem).value;
  let [ofInterval, ofPlacement] = [0, 0];
  for (const { value, placement } of everyWorth(problem)) {
    ofInterval = Math.max(ofInterval, bound / value);
    ofPlacement = Math.max(ofPlacement, (problem.steps * periodBound(problem, placement).seconds) / value);
  }
  yield { property: 'bound of an interval over every placement', ratio: ofInterval };
  yield { property: 'bound of a placement over the placement', ratio: ofPlacement };
}

/** Of the fastest k devices, one more is never worse. */
function* fastest({ workloads, cluster }: RandomGraph): Generator<Finding> {
  const speed = (rate: Cluster['devices'][number]['flopsPerSecond']) => (typeof rate === 'number' ? rate : 3);
  const order = [...cluster.devices].sort((a, b) => speed(b.flopsPerSecond) - speed(a.flopsPerSecond));
  let before = Infinity;
  for (let count = 1; count <= order.length; count++) {
    const devices = order.slice(0, count);
    const ids = new Set(['*', ...devices.map(({ id }) => id)]);
    const links = cluster.links.filter(({ from, to }) => ids.has(from) && ids.has(to));
    const seconds = secondsOf(planned(workloads, { devices, links }));
    if (before < Infinity) yield over('the fastest k + 1 than the fastest k', seconds, before);
    before = seconds;
  }
}

export const propertyGroups: Readonly<Record<string, PropertyGroup>> = {
  'never-worse': {
    sizes: { devices: 3, layers: 3, tasks: 3, samples: 3, steps: 6 },
    findings: neverWorse,
  },
  exact: { sizes: { devices: 3, layers: 3, tasks: 3, samples: 3, steps: 2 }, findings: exact },
  fastest: { sizes: { devices: 9, layers: 8, tasks: 6, samples: 8, steps: 20 }, findings: fastest },
};

export const graphOf = (group: PropertyGroup, number: number): RandomGraph =>
  randomGraph(number, group.sizes);
