/**
 * Twelve tasks of three case studies as workloads. Tasks of higher levels live in upper layers: a task of level 1 has ranks in the upper half
 * of the decoder, one of level 2 in the upper quarter; everything below is frozen while it trains.
 */
import type { Workload } from '@contextlora/scheduler';

import { layerCosts, type ModelShape, type Tokens } from './model-shapes.js';

const dependencies: Readonly<Record<string, readonly string[]>> = {
  // Internet of Vehicles
  vehicle: [],
  weather: [],
  road: ['weather'],
  strategy: ['vehicle', 'road'],
  // intelligent factory
  part: [],
  machine: [],
  defect: ['part'],
  action: ['defect', 'machine'],
  // smart city
  crowd: [],
  traffic: [],
  incident: ['crowd', 'traffic'],
  dispatch: ['incident'],
};

export const trainingSettings = {
  rank: 8,
  tokens: { perSample: 128, answered: 16 } satisfies Tokens,
  samples: 16,
  /** Of every task; each sample is seen in every epoch. */
  steps: 240,
  epochs: 16,
} as const;

/** `frozenPrefix: false` gives every task adapters in all layers, as plain LoRA has them. */
export function twelveTasks(shape: ModelShape, { frozenPrefix }: { frozenPrefix: boolean }): Workload[] {
  const names = Object.keys(dependencies);
  const { rank, tokens, samples, steps, epochs } = trainingSettings;
  return names.map((name) => {
    const from = frozenPrefix ? [0, shape.layers / 2, (3 * shape.layers) / 4][levelOf(name)]! : 0;
    const layers = layerCosts(
      shape,
      {
        from: Math.round(from),
        rank,
        activeRanks: rank * (1 + (frozenPrefix ? ancestorsOf(name).size : 0)),
        allRanks: rank * names.length,
      },
      tokens,
    );
    return { name, samples, steps, epochs, dependsOn: dependencies[name]!, layers };
  });
}

const levelOf = (name: string): number => 1 + Math.max(-1, ...dependencies[name]!.map(levelOf));

function ancestorsOf(name: string): Set<string> {
  return new Set(dependencies[name]!.flatMap((parent) => [parent, ...ancestorsOf(parent)]));
}
