/** Builders and random problems which the suites share. */
import {
  type Cluster,
  contextGear,
  contextGearDeep,
  type CostModel,
  type DeviceProfile,
  gpipe,
  type LayerCost,
  type LinkProfile,
  lorapp,
  oneForwardOneBackward,
  oneForwardOneBackwardDeep,
  openCostModel,
  type Placement,
  type Schedule,
  type IntervalProblem,
  type Stage,
  type Workload,
} from '@contextlora/scheduler';
import fc from 'fast-check';

export const policies = [
  gpipe,
  oneForwardOneBackward,
  oneForwardOneBackwardDeep,
  contextGear,
  contextGearDeep,
  lorapp,
];

/** A second each forward and backward on a device of 1 FLOP/s, and no bytes to send. */
export const layer = (costs: Partial<LayerCost> = {}): LayerCost => ({
  name: 'layer',
  forwardFlops: 1,
  inputFlops: 1,
  weightFlops: 0,
  parameterBytes: 1,
  gradientBytes: 0,
  optimizerBytes: 0,
  activationBytes: 1,
  outputBytes: 0,
  ...costs,
});

export const task = (
  layers: readonly LayerCost[],
  samples: number,
  more: Partial<Workload> = {},
): Workload => ({ name: 't', samples, layers, ...more });

/** `count` layers whose forward takes `forward` and whose whole backward takes `backward`, on the lowest layer too. */
export const equalLayers = (count: number, forward: number, backward: number): LayerCost[] =>
  Array.from({ length: count }, (_, index) =>
    layer({
      forwardFlops: forward,
      inputFlops: index === 0 ? 0 : backward / 2,
      weightFlops: index === 0 ? backward : backward / 2,
    }),
  );

export const device = (id: string, more: Partial<DeviceProfile> = {}): DeviceProfile => ({
  id,
  flopsPerSecond: 1,
  memoryBytes: 1e9,
  ...more,
});

export const cluster = (
  devices: number | readonly DeviceProfile[],
  ...links: readonly Partial<LinkProfile>[]
): Cluster => ({
  devices: typeof devices === 'number' ? Array.from({ length: devices }, (_, i) => device(`d${i}`)) : devices,
  links: (links.length === 0 ? [{}] : links).map((link) => ({
    from: '*',
    to: '*',
    bytesPerSecond: 1e12,
    latencySeconds: 0,
    ...link,
  })),
});

/** One device per stage: `d0`, `d1`, …, the stages ending at `ends`. */
export const chain = (
  ends: readonly number[],
  microbatches: number,
  tasks: readonly string[] = ['t'],
): Placement => ({
  tasks,
  microbatches,
  stages: ends.map((end, index) => ({
    start: index === 0 ? 0 : ends[index - 1]!,
    end,
    members: [{ device: `d${index}`, share: 1 }],
  })),
});

export const interval = (costs: CostModel, more: Partial<IntervalProblem> = {}): IntervalProblem => ({
  costs,
  tasks: costs.tasks.map(({ name }) => name),
  steps: 1,
  cache: {},
  cacheBytes: {},
  objective: 'time',
  microbatches: [1],
  window: 2,
  groupLimit: 64,
  policies: [contextGear, contextGearDeep],
  ...more,
});

/** A program's forwards and backwards as `F0 B0 …`, the two halves of a backward pass as one. */
export const orderOf = (schedule: Schedule, program: number): string[] =>
  schedule.programs[program]!.instructions.flatMap((one) =>
    one.type === 'forward'
      ? [`F${one.microbatch}`]
      : one.type === 'backwardInput'
        ? [`B${one.microbatch}`]
        : [],
  );

/** Forwards in flight at the fullest moment of a program. */
export function mostInFlight(schedule: Schedule, program: number): number {
  let held = 0;
  let most = 0;
  for (const one of orderOf(schedule, program)) most = Math.max(most, (held += one.startsWith('F') ? 1 : -1));
  return most;
}

// ------------------------------------------------------------------------------------------------------------ random problems

const flops = fc.integer({ min: 1, max: 9 });

export interface Limits {
  readonly devices?: number;
  readonly layers?: number;
  readonly tasks?: number;
  readonly samples?: number;
  /** Upper end of a device's memory; `Infinity` for more than enough everywhere. */
  readonly memoryBytes?: number;
  readonly power?: boolean;
}

/** A task over `layers` layers whose lowest trained one may lie anywhere, with frozen layers above it now and then. */
export const arbitraryTask = (name: string, layers: number, samples: number): fc.Arbitrary<Workload> =>
  fc
    .record({
      samples: fc.integer({ min: 1, max: samples }),
      lowest: fc.integer({ min: 0, max: layers }),
      costs: fc.array(fc.tuple(flops, flops, flops, fc.boolean(), flops), {
        minLength: layers,
        maxLength: layers,
      }),
    })
    .map(({ samples: count, lowest, costs }) => ({
      name,
      samples: count,
      layers: costs.map(([forward, input, weight, trained, output], index): LayerCost => {
        const trains = index === lowest || (index > lowest && trained);
        return {
          name: `layer ${index}`,
          forwardFlops: forward,
          inputFlops: index > lowest ? input : 0,
          weightFlops: trains ? weight : 0,
          parameterBytes: forward,
          gradientBytes: trains ? weight : 0,
          optimizerBytes: trains ? 2 * weight : 0,
          activationBytes: input,
          outputBytes: output,
        };
      }),
    }));

const rates = fc.oneof(
  fc.integer({ min: 1, max: 5 }),
  fc.record({
    forward: fc.integer({ min: 1, max: 5 }),
    input: fc.integer({ min: 1, max: 5 }),
    weight: fc.integer({ min: 1, max: 5 }),
  }),
);

/** Unequal devices; links of their own, one shared medium, or some of each. */
export const arbitraryCluster = (
  devices: number,
  { memoryBytes = Infinity, power = false }: Limits = {},
): fc.Arbitrary<Cluster> =>
  fc.record({
    devices: fc
      .array(
        fc.record({
          flopsPerSecond: rates,
          overheadSeconds: fc.constantFrom(0, 0, 0.25),
          memoryBytes:
            memoryBytes === Infinity
              ? fc.constant(1e9)
              : fc.integer({ min: memoryBytes >> 3, max: memoryBytes }),
          watts: fc.integer({ min: 1, max: 20 }),
          idleWatts: fc.integer({ min: 0, max: 3 }),
        }),
        { minLength: devices, maxLength: devices },
      )
      .map((all) =>
        all.map(({ watts, idleWatts, ...rest }, index) => ({
          id: `d${index}`,
          ...rest,
          ...(power ? { watts, idleWatts } : {}),
        })),
      ),
    links: fc
      .record({
        bytesPerSecond: fc.constantFrom(0.5, 3, 20, 1e6),
        latencySeconds: fc.constantFrom(0, 0, 0.125, 1),
        kind: fc.constantFrom('own', 'shared', 'mixed' as const),
        loss: fc.constantFrom(0, 0, 0.5),
      })
      .map(({ kind, bytesPerSecond, latencySeconds, loss }): LinkProfile[] => [
        ...(kind === 'mixed' && devices > 1
          ? [{ from: 'd0', to: 'd1', bytesPerSecond: 2 * bytesPerSecond, latencySeconds }]
          : []),
        {
          from: '*',
          to: '*',
          bytesPerSecond,
          latencySeconds,
          loss,
          ...(kind === 'own' ? {} : { medium: 'air' }),
        },
      ]),
  });

/** Any ordered set of disjoint groups, cut and shares. */
const arbitraryStages = (devices: number, layers: number): fc.Arbitrary<Stage[]> =>
  fc
    .shuffledSubarray(
      Array.from({ length: devices }, (_, i) => `d${i}`),
      { minLength: 1 },
    )
    .chain((used) =>
      fc.integer({ min: 1, max: Math.min(used.length, layers) }).chain((count) =>
        fc
          .record({
            cuts: breaks(layers, count - 1),
            groups: breaks(used.length, count - 1),
            weights: fc.array(fc.integer({ min: 1, max: 3 }), {
              minLength: used.length,
              maxLength: used.length,
            }),
          })
          .map(({ cuts, groups, weights }) =>
            Array.from({ length: count }, (_, stage): Stage => {
              const from = groups[stage - 1] ?? 0;
              const to = groups[stage] ?? used.length;
              const sum = weights.slice(from, to).reduce((a, b) => a + b, 0);
              return {
                start: cuts[stage - 1] ?? 0,
                end: cuts[stage] ?? layers,
                members: used
                  .slice(from, to)
                  .map((id, index) => ({ device: id, share: weights[from + index]! / sum })),
              };
            }),
          ),
      ),
    );

/** `count` different positions inside 1 … length − 1, in order. */
const breaks = (length: number, count: number): fc.Arbitrary<number[]> =>
  fc
    .shuffledSubarray(
      Array.from({ length: length - 1 }, (_, i) => i + 1),
      { minLength: count, maxLength: count },
    )
    .map((all) => [...all].sort((a, b) => a - b));

export interface RandomProblem {
  readonly workloads: Workload[];
  readonly cluster: Cluster;
  readonly placement: Placement;
  readonly steps: number;
  readonly window: number;
}

/** A whole problem with a placement of all its tasks. */
export const arbitraryProblem = (limits: Limits = {}): fc.Arbitrary<RandomProblem> =>
  fc
    .record({
      devices: fc.integer({ min: 1, max: limits.devices ?? 5 }),
      layers: fc.integer({ min: 1, max: limits.layers ?? 6 }),
      tasks: fc.integer({ min: 1, max: limits.tasks ?? 3 }),
    })
    .chain(({ devices, layers, tasks }) =>
      fc
        .record({
          workloads: fc.tuple(
            ...Array.from({ length: tasks }, (_, i) => arbitraryTask(`t${i}`, layers, limits.samples ?? 8)),
          ),
          cluster: arbitraryCluster(devices, limits),
          stages: arbitraryStages(devices, layers),
          division: fc.double({ min: 0, max: 1, noNaN: true }),
          steps: fc.integer({ min: 1, max: 3 }),
          window: fc.integer({ min: 1, max: 3 }),
        })
        .map(({ workloads, cluster: drawn, stages, division, steps, window }) => {
          const most = Math.min(...workloads.map(({ samples }) => samples));
          return {
            workloads,
            cluster: drawn,
            placement: {
              tasks: workloads.map(({ name }) => name),
              microbatches: 1 + Math.floor(division * (most - 1)),
              stages,
            },
            steps,
            window,
          };
        }),
    );

export const open = ({ workloads, cluster: on }: Pick<RandomProblem, 'workloads' | 'cluster'>): CostModel =>
  openCostModel(workloads, on);

// A sweep that draws other cases every time would fail for a change that has nothing to do with it.
fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: 1 });
