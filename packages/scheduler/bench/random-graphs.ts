/** Random task graphs on random clusters of a few kinds, each from its own number. */
import type { Cluster, LayerCost, LinkProfile, Workload } from '@contextlora/scheduler';

import { seededRandom } from './random-problems.js';

/** Links of their own; one channel; some of each; memory that barely suffices; mostly frozen layers, seen more than once. */
const kinds = ['links', 'air', 'mixed', 'tight', 'frozen'] as const;

export interface GraphSizes {
  readonly devices: number;
  readonly layers: number;
  readonly tasks: number;
  readonly samples: number;
  readonly steps: number;
}

export interface RandomGraph {
  readonly kind: (typeof kinds)[number];
  readonly workloads: readonly Workload[];
  readonly cluster: Cluster;
}

/** Costs are small whole numbers, so that ties are common; `number` chooses the kind in turn, and everything else at random. */
export function randomGraph(number: number, most: GraphSizes): RandomGraph {
  const random = seededRandom(number);
  const upTo = (high: number, low = 1) => low + Math.floor(random() * (high - low + 1));
  const oneOf = <T>(values: readonly T[]): T => values[upTo(values.length, 0) % values.length]!;
  const often = (share: number) => random() < share;
  const kind = kinds[number % kinds.length]!;
  const layerCount = upTo(most.layers);
  const sent = oneOf([0, 0.01, 0.1, 1]);
  const parameters = Array.from({ length: layerCount }, () => upTo(9));
  const layersFrom = (lowest: number): LayerCost[] =>
    parameters.map((parameterBytes, index) => {
      const trains = index === lowest || (index > lowest && often(0.7));
      const weightFlops = trains ? upTo(9) : 0;
      return {
        name: `layer ${index}`,
        forwardFlops: upTo(9),
        inputFlops: index > lowest ? upTo(9) : 0,
        weightFlops,
        parameterBytes,
        gradientBytes: sent * weightFlops,
        optimizerBytes: 2 * sent * weightFlops,
        activationBytes: kind === 'tight' ? upTo(4) : 1,
        outputBytes: sent * upTo(9),
      };
    });
  const samples = upTo(most.samples);
  const workloads = Array.from({ length: upTo(most.tasks) }, (_, index): Workload => ({
    name: `task ${index}`,
    samples: often(0.5) ? samples : upTo(most.samples),
    steps: upTo(most.steps),
    epochs: kind === 'frozen' ? upTo(3, 2) : oneOf([1, 1, 2]),
    layers: layersFrom(kind === 'frozen' ? upTo(layerCount - 1, 0) : often(0.5) ? 0 : upTo(layerCount, 0)),
    dependsOn: Array.from({ length: index }, (__, other) => `task ${other}`).filter(() => often(0.3)),
    ...(often(0.1) ? { validationSamples: upTo(3) } : {}),
    ...(often(0.1) ? { promptSamples: upTo(3) } : {}),
  }));
  const model = parameters.reduce((sum, bytes) => sum + bytes, 0);
  const devices = Array.from({ length: upTo(most.devices) }, (_, index) => ({
    id: `d${index}`,
    flopsPerSecond: often(0.3) ? { forward: upTo(5), input: upTo(5), weight: upTo(5) } : upTo(5),
    overheadSeconds: oneOf([0, 0, 0.25]),
    memoryBytes: kind === 'tight' ? model * (0.4 + 1.2 * random()) + 8 : 1e9,
  }));
  const link: Omit<LinkProfile, 'from' | 'to'> = {
    bytesPerSecond: oneOf([0.5, 3, 20, 1e6]),
    latencySeconds: oneOf([0, 0, 0.125, 1]),
    ...(often(0.2) ? { loss: 0.5 } : {}),
    ...(often(0.1) ? { relayed: true } : {}),
  };
  const shared = kind === 'air' || kind === 'mixed' || (kind !== 'links' && often(0.5));
  const named = kind === 'mixed' && devices.length > 1;
  const ids = devices.map(({ id }) => id);
  const places = often(0.15) ? { resident: ids.filter(() => often(0.5)), keeper: oneOf(ids) } : {};
  return {
    kind,
    workloads,
    cluster: {
      devices,
      links: [
        ...(named ? [{ from: 'd0', to: 'd1', ...link, bytesPerSecond: 2 * link.bytesPerSecond }] : []),
        { from: '*', to: '*', ...link, ...(shared ? { medium: 'air' } : {}) },
      ],
      ...places,
    },
  };
}
