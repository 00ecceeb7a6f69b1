/** Every strategy on the twelve tasks, for three models and four Wi-Fi rates, in three columns. All figures are simulated. */
import { plan, type PlanOptions, type Workload } from '@contextlora/scheduler';
import { comparePeers, type PeerResult, taskParallelName } from '@contextlora/scheduler/peers';

import { fiveBoards } from './jetson-cluster.js';
import { modelShapes } from './model-shapes.js';
import { formatTable } from './table.js';
import { twelveTasks } from './twelve-tasks.js';

export const wifiRates = [10, 50, 300, 1000];

/** What peers are given: nothing (adapters in all layers), the same frozen prefixes as ContextGear, and an activation cache of them. */
const columns = ['plain', 'prefix', 'prefix and cache'] as const;
type Columns<T> = Readonly<Record<(typeof columns)[number], T>>;

export interface GearResult {
  readonly totalSeconds: number;
  readonly totalBytes: number;
  readonly lowerBoundSeconds: number;
  readonly search: string;
}

export interface Comparison {
  readonly model: string;
  readonly megabitsPerSecond: number;
  readonly peers: Columns<readonly PeerResult[]>;
  readonly contextGear: Columns<GearResult>;
  /** ContextGear with prefix and cache, but one task at a time. */
  readonly oneTaskAtATime: GearResult;
}

/** @param known comparisons of an earlier run, which are not made again */
export function* compareAll(known: readonly Comparison[]): Generator<Comparison> {
  for (const shape of modelShapes)
    for (const megabitsPerSecond of wifiRates) {
      const before = known.find(
        (one) => one.model === shape.name && one.megabitsPerSecond === megabitsPerSecond,
      );
      if (before) {
        yield before;
        continue;
      }
      const cluster = fiveBoards(megabitsPerSecond);
      const frozen = twelveTasks(shape, { frozenPrefix: true });
      const plain = twelveTasks(shape, { frozenPrefix: false });
      const gear = (workloads: readonly Workload[], options: PlanOptions): GearResult => {
        const { totalSeconds, totalBytes, lowerBoundSeconds, search } = plan(workloads, cluster, options);
        return { totalSeconds, totalBytes, lowerBoundSeconds, search };
      };
      yield {
        model: shape.name,
        megabitsPerSecond,
        peers: {
          plain: comparePeers(plain, cluster),
          prefix: comparePeers(frozen, cluster),
          'prefix and cache': comparePeers(frozen, cluster, { cache: true }),
        },
        contextGear: {
          plain: gear(plain, { cache: false }),
          prefix: gear(frozen, { cache: false }),
          'prefix and cache': gear(frozen, {}),
        },
        oneTaskAtATime: gear(frozen, { siblings: false }),
      };
    }
}

const secondsOf = ({ peers }: Comparison, column: keyof Columns<unknown>, strategy: string): number =>
  peers[column].find((one) => one.strategy === strategy)?.totalSeconds ?? NaN;

/** The fastest published system, which list scheduling is not. */
const fastest = ({ peers }: Comparison, column: keyof Columns<unknown>): number =>
  Math.min(
    ...peers[column]
      .filter(({ strategy }) => strategy !== taskParallelName)
      .map(({ totalSeconds }) => totalSeconds),
  );

/** Seconds in each column, and how much longer each takes than ContextGear with prefix and cache. */
export function describeComparison(comparison: Comparison): string {
  const { model, megabitsPerSecond, peers, contextGear, oneTaskAtATime } = comparison;
  const mark = contextGear['prefix and cache'].totalSeconds;
  const cell = (seconds: number) =>
    Number.isFinite(seconds) ? [seconds.toFixed(0), `${(seconds / mark).toFixed(2)}x`] : ['no fit', '–'];
  const names = [...new Set(columns.flatMap((column) => peers[column].map(({ strategy }) => strategy)))];
  const table = formatTable(
    ['total seconds', ...columns.flatMap((column) => [column, ''])],
    [
      ...names.map((name) => [
        name,
        ...columns.flatMap((column) => cell(secondsOf(comparison, column, name))),
      ]),
      ['ContextGear', ...columns.flatMap((column) => cell(contextGear[column].totalSeconds))],
      ['… one task at a time', '', '', '', '', ...cell(oneTaskAtATime.totalSeconds)],
    ],
  );
  const { search, lowerBoundSeconds, totalBytes } = contextGear['prefix and cache'];
  const plan = `${search} search, bound ${lowerBoundSeconds.toFixed(0)} s, ${(totalBytes / 1e9).toFixed(2)} GB`;
  return `## ${model}, ${megabitsPerSecond} Mbit/s Wi-Fi (simulated)\n\n${table}\nContextGear: ${plan}`;
}

/** How many times as long others take as ContextGear, and whose part each factor is. */
export function describeRatios(comparisons: readonly Comparison[]): string {
  const rows: [string, (one: Comparison) => number][] = [
    ['fastest system, plain : ContextGear', (one) => fastest(one, 'plain') / gearSeconds(one)],
    ['  of it the frozen prefix', (one) => fastest(one, 'plain') / fastest(one, 'prefix')],
    ['  of it the cache', (one) => fastest(one, 'prefix') / fastest(one, 'prefix and cache')],
    ['  of it lanes and pipelines', (one) => fastest(one, 'prefix and cache') / gearSeconds(one)],
    ...columns.map((column): [string, (one: Comparison) => number] => [
      `list scheduling : ContextGear, both ${column}`,
      (one) => secondsOf(one, column, taskParallelName) / one.contextGear[column].totalSeconds,
    ]),
  ];
  return formatTable(
    ['times as long', ...wifiRates.map((rate) => `${rate} Mbit/s`)],
    [...new Set(comparisons.map(({ model }) => model))].flatMap((model) => {
      const rates = comparisons.filter((one) => one.model === model);
      return rows.map(([title, of]) => [`${model}: ${title}`, ...rates.map((one) => of(one).toFixed(2))]);
    }),
  );
}

const gearSeconds = ({ contextGear }: Comparison): number => contextGear['prefix and cache'].totalSeconds;
