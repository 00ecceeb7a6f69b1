/**
 * How good the plans are: the exact search against brute force (every group, cut and division; placements in which one device's computing
 * alone takes longer than the exact search's answer are skipped), the bounded search against the exact one, and larger plans against their
 * lower bound.
 */
import {
  type Assessment,
  assessPlacement,
  contextGear,
  contextGearDeep,
  openCostModel,
  plan,
  searchInterval,
  type IntervalProblem,
  shareSamples,
  type Stage,
} from '@contextlora/scheduler';

import { randomProblem, type RandomProblemOptions, seededRandom } from './random-problems.js';
import { formatTable } from './table.js';

export interface ExactnessSizes {
  readonly devices: number;
  readonly layers: number;
}

export interface ExactnessResult {
  readonly cases: number;
  /** At most. */
  readonly sizes: ExactnessSizes;
  readonly infeasible: number;
  readonly placements: number;
  /** Cases in which the exact search found something worse than brute force, and by how much at most. */
  readonly missed: number;
  readonly worstGap: number;
  /** The same for the bounded search. */
  readonly boundedMissed: number;
  /** Solvable cases for which it found nothing. */
  readonly boundedFoundNone: number;
  readonly boundedMeanGap: number;
  readonly boundedWorstGap: number;
}

export function compareWithBruteForce(
  cases: number,
  seed: number,
  sizes: ExactnessSizes = { devices: 4, layers: 7 },
): ExactnessResult {
  const random = seededRandom(seed);
  const whole = (low: number, high: number) => low + Math.floor(random() * (high - low + 1));
  let infeasible = 0;
  let placements = 0;
  let foundNone = 0;
  const gaps: number[] = [];
  const boundedGaps: number[] = [];
  for (let index = 0; index < cases; index++) {
    const layers = whole(1, sizes.layers);
    const { workload, cluster } = randomProblem(random, {
      devices: whole(1, sizes.devices),
      layers,
      samples: whole(1, 6),
      memoryShare: 0.2 + random(),
      megabitsPerSecond: [20, 200, 2000][whole(0, 2)]!,
      shared: random() < 0.5,
      lowest: whole(0, layers - 1),
    });
    const problem: IntervalProblem = {
      costs: openCostModel([workload], cluster),
      tasks: [workload.name],
      steps: 20,
      cache: {},
      cacheBytes: {},
      objective: 'time',
      microbatches: [...new Set([1, Math.ceil(workload.samples / 2), workload.samples])],
      window: 2,
      groupLimit: sizes.devices,
      policies: [contextGear, contextGearDeep],
    };
    const exact = searchInterval(problem).found[0];
    const brute = bruteForce(problem, exact?.value ?? Infinity);
    placements += brute.placements;
    const bounded = searchInterval(problem, { exactDevices: 0 }).found[0];
    if (!brute.best) {
      infeasible += 1;
      if (exact || bounded) throw new Error('a search found a placement where brute force found none');
      continue;
    }
    gaps.push(exact ? exact.value / brute.best.value - 1 : Infinity);
    if (bounded) boundedGaps.push(bounded.value / brute.best.value - 1);
    else foundNone += 1;
  }
  const missed = (all: readonly number[]) => all.filter((gap) => gap > 1e-9).length;
  return {
    cases,
    sizes,
    infeasible,
    placements,
    missed: missed(gaps),
    worstGap: Math.max(0, ...gaps),
    boundedMissed: missed(boundedGaps),
    boundedFoundNone: foundNone,
    boundedMeanGap: boundedGaps.reduce((a, b) => a + b, 0) / boundedGaps.length,
    boundedWorstGap: Math.max(0, ...boundedGaps),
  };
}

/**
 * Written independently of the search: plain recursion over ordered groups and cuts.
 *
 * @param mark placements in which a device computes for longer than this are not worth simulating
 */
function bruteForce(
  problem: IntervalProblem,
  mark: number,
): { best: Assessment | undefined; placements: number } {
  const { costs, tasks } = problem;
  let best: Assessment | undefined;
  let placements = 0;
  const { sums, samples } = costs.tasks[0]!;
  const computing = ({ device, share }: Stage['members'][number], start: number, end: number): number => {
    const { forwardRate, inputRate, weightRate } = costs.devices[costs.deviceIndex(device)]!;
    const flops = (of: 'forwardFlops' | 'inputFlops' | 'weightFlops') => sums[of][end]! - sums[of][start]!;
    const one =
      flops('forwardFlops') / forwardRate +
      flops('inputFlops') / inputRate +
      flops('weightFlops') / weightRate;
    return problem.steps * samples * share * one * (1 - 1e-9);
  };
  const subsets = (items: readonly number[]): number[][] =>
    items.length === 0 ? [[]] : subsets(items.slice(1)).flatMap((rest) => [rest, [items[0]!, ...rest]]);
  for (const microbatches of problem.microbatches) {
    const extend = (stages: readonly Stage[], start: number, left: readonly number[]): void => {
      if (start === costs.layerCount) {
        placements += 1;
        const found = assessPlacement(problem, { tasks, microbatches, stages });
        if (found && (!best || found.value < best.value)) best = found;
        return;
      }
      for (const group of subsets(left)) {
        if (group.length === 0) continue;
        for (let end = start + 1; end <= costs.layerCount; end++) {
          const members = shareSamples(problem, { start, end }, group, microbatches);
          if (!members || members.some((member) => computing(member, start, end) > mark)) continue;
          extend(
            [...stages, { start, end, members }],
            end,
            left.filter((device) => !group.includes(device)),
          );
        }
      }
    };
    extend([], 0, [...costs.devices.keys()]);
  }
  return { best, placements };
}

export interface LargeGap {
  readonly description: string;
  readonly gap: number;
  readonly planSeconds: number;
}

const large: readonly { readonly description: string; readonly options: RandomProblemOptions }[] = [
  {
    description: '16 devices × 48 layers, model fits each, own links of 1 Gbit/s, 512 samples',
    options: {
      devices: 16,
      layers: 48,
      samples: 512,
      memoryShare: 1.2,
      megabitsPerSecond: 1000,
      shared: false,
    },
  },
  {
    description: '… 256 samples',
    options: {
      devices: 16,
      layers: 48,
      samples: 256,
      memoryShare: 1.2,
      megabitsPerSecond: 1000,
      shared: false,
    },
  },
  {
    description: '… 64 samples',
    options: {
      devices: 16,
      layers: 48,
      samples: 64,
      memoryShare: 1.2,
      megabitsPerSecond: 1000,
      shared: false,
    },
  },
  {
    description: '… a device holds a third to two thirds of the model, 256 samples',
    options: {
      devices: 16,
      layers: 48,
      samples: 256,
      memoryShare: 0.35,
      megabitsPerSecond: 1000,
      shared: false,
    },
  },
  {
    description: '… and 24 layers are frozen',
    options: {
      devices: 16,
      layers: 48,
      samples: 256,
      memoryShare: 0.35,
      megabitsPerSecond: 1000,
      shared: false,
      lowest: 24,
    },
  },
  {
    description: '… one Wi-Fi channel of 300 Mbit/s',
    options: {
      devices: 16,
      layers: 48,
      samples: 256,
      memoryShare: 0.35,
      megabitsPerSecond: 300,
      shared: true,
    },
  },
];

/** Three random instances of each kind. */
export function* largeGaps(clock: () => number): Generator<LargeGap> {
  for (const { description, options } of large)
    for (const seed of [1, 2, 3]) {
      const { workload, cluster } = randomProblem(seededRandom(seed), options);
      const start = clock();
      const { gap } = plan([workload], cluster, { peers: [] });
      yield { description, gap, planSeconds: clock() - start };
    }
}

export function describeExactness(result: ExactnessResult): string {
  const percent = (value: number) => `${(100 * value).toFixed(2)} %`;
  return [
    `${result.cases} random problems up to ${result.sizes.devices} devices × ${result.sizes.layers} layers (${result.infeasible} without any solution), ` +
      `${result.placements} placements simulated by brute force`,
    `exact search:   worse than brute force in ${result.missed}, worst gap ${percent(result.worstGap)}`,
    `bounded search: found nothing in ${result.boundedFoundNone}, worse in ${result.boundedMissed}, mean gap ${percent(result.boundedMeanGap)}, worst ${percent(result.boundedWorstGap)}`,
  ].join('\n');
}

export const describeLargeGaps = (gaps: readonly LargeGap[]): string =>
  formatTable(
    ['gap to the lower bound', 'three instances', 'planning'],
    [...new Set(gaps.map(({ description }) => description))].map((description) => {
      const instances = gaps.filter((gap) => gap.description === description);
      return [
        description,
        instances.map(({ gap }) => `${(100 * gap).toFixed(1)} %`).join('  '),
        `${Math.max(...instances.map(({ planSeconds }) => planSeconds)).toFixed(1)} s`,
      ];
    }),
  );
