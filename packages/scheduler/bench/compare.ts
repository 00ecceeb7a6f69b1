/** Every strategy on the twelve tasks, for three models and four Wi-Fi rates. All figures are simulated. */
import { peers, singleDevice } from '@contextlora/scheduler/peers';

import { fiveBoards } from './jetson-cluster.js';
import { modelShapes } from './model-shapes.js';
import { runByHand, runContextGear, runPeer, type StrategyResult } from './run-strategy.js';
import { formatTable } from './table.js';
import { twelveTasks } from './twelve-tasks.js';

export const wifiRates = [10, 50, 300, 1000];

export interface Comparison {
  readonly model: string;
  readonly megabitsPerSecond: number;
  /** Peers train plain LoRA, adapters in all layers, nothing frozen. */
  readonly plainPeers: readonly StrategyResult[];
  /** Peers are given the same frozen prefixes as ContextGear. */
  readonly frozenPeers: readonly StrategyResult[];
  readonly contextGear: StrategyResult;
  readonly ablations: readonly StrategyResult[];
  /** ContextGear's total time against that of the fastest peer. */
  readonly ratioToPlain: number;
  readonly ratioToFrozen: number;
}

export function* compareAll(): Generator<Comparison> {
  for (const shape of modelShapes)
    for (const megabitsPerSecond of wifiRates) {
      const cluster = fiveBoards(megabitsPerSecond);
      const frozen = twelveTasks(shape, { frozenPrefix: true });
      const plain = twelveTasks(shape, { frozenPrefix: false });
      const run = (workloads: typeof frozen) =>
        [
          ...peers.map((strategy) => runPeer(strategy, workloads, cluster)),
          runByHand(singleDevice, workloads, cluster),
        ].filter((result) => result !== undefined);
      const plainPeers = run(plain);
      const frozenPeers = run(frozen);
      const contextGear = runContextGear('ContextGear', frozen, cluster);
      const ablations = [
        runContextGear('… without re-cutting', frozen, cluster, { recut: false }),
        runContextGear('… one task at a time', frozen, cluster, { siblings: false }),
        runContextGear('… without the cache', frozen, cluster, { cache: false }),
        runContextGear('… without freezing (plain LoRA)', plain, cluster, { cache: false }),
      ];
      const fastest = (results: readonly StrategyResult[]) =>
        Math.min(...results.filter(isPeer).map(({ totalSeconds }) => totalSeconds));
      yield {
        model: shape.name,
        megabitsPerSecond,
        plainPeers,
        frozenPeers,
        contextGear,
        ablations,
        ratioToPlain: contextGear.totalSeconds / fastest(plainPeers),
        ratioToFrozen: contextGear.totalSeconds / fastest(frozenPeers),
      };
    }
}

const isPeer = ({ strategy }: StrategyResult): boolean => peers.some(({ name }) => name === strategy);

export function describeComparison(comparison: Comparison): string {
  const { model, megabitsPerSecond, plainPeers, frozenPeers, contextGear, ablations } = comparison;
  const all = [...new Set([...plainPeers, ...frozenPeers].map(({ strategy }) => strategy))];
  const cells = (result: StrategyResult | undefined) =>
    result
      ? [
          (1000 * result.stepSeconds).toFixed(0),
          result.totalSeconds.toFixed(0),
          (result.bytes / 1e9).toFixed(1),
          (result.joules / 1e3).toFixed(0),
          (result.peakMemoryBytes / 1e6).toFixed(0),
          `${(result.totalSeconds / contextGear.totalSeconds).toFixed(2)}x`,
        ]
      : ['–', '–', '–', '–', '–', 'no fit'];
  const header = ['step ms', 'total s', 'GB', 'kJ', 'MB', 'time'];
  const find = (results: readonly StrategyResult[], name: string) =>
    results.find(({ strategy }) => strategy === name);
  const table = (title: string, results: readonly StrategyResult[]) =>
    formatTable(
      [title, ...header],
      [...all.map((name) => [name, ...cells(find(results, name))]), ['ContextGear', ...cells(contextGear)]],
    );
  return [
    `## ${model}, ${megabitsPerSecond} Mbit/s Wi-Fi (simulated)`,
    table('peers with plain LoRA', plainPeers),
    table('peers with the same frozen prefix', frozenPeers),
    formatTable(
      ['ablations of ContextGear', ...header],
      ablations.map((result) => [result.strategy, ...cells(result)]),
    ),
  ].join('\n\n');
}

/** The ratios of all settings in one table. */
export const describeRatios = (comparisons: readonly Comparison[]): string =>
  formatTable(
    ['ContextGear’s time : fastest peer’s', ...wifiRates.map((rate) => `${rate} Mbit/s`)],
    [...new Set(comparisons.map(({ model }) => model))].flatMap((model) => {
      const rates = comparisons.filter((one) => one.model === model);
      const byHand = (results: readonly StrategyResult[]) =>
        results.find(({ strategy }) => strategy.startsWith('one device'))?.totalSeconds ?? NaN;
      return [
        [`${model}, peers with plain LoRA`, ...rates.map((one) => one.ratioToPlain.toFixed(2))],
        [`${model}, same frozen prefix`, ...rates.map((one) => one.ratioToFrozen.toFixed(2))],
        [
          `${model}, same prefix, one device per task by hand`,
          ...rates.map((one) => (one.contextGear.totalSeconds / byHand(one.frozenPeers)).toFixed(2)),
        ],
      ];
    }),
  );
