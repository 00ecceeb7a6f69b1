/** What of a machine's rate lasts when it gets hot, and what its heat, clocks and power do meanwhile. */
import { checkedWork, type MeasurableLayer, quartiles } from './measure-rates.js';
import { hottestOf } from '../sensors/read-temperatures.js';
import type { DeviceSample } from '../sensors/sample-device.js';

export interface MeasureSustainedOptions {
  /** Monotonic seconds. */
  readonly clock: () => number;
  readonly durationSeconds: number;
  readonly tokens?: number;
  /** Looks at the machine between two rounds; what it takes is not in the rates. */
  readonly sample?: () => Promise<DeviceSample>;
  readonly sampleEverySeconds?: number;
  readonly signal?: AbortSignal;
}

/** What a machine shows of itself at a moment; what it does not show is missing. */
export interface Conditions {
  readonly atSeconds: number;
  /** Of the hottest sensor. */
  readonly celsius?: number;
  readonly gpuHertz?: number;
  /** Mean of the cores that are on. */
  readonly coreHertz?: number;
  readonly watts?: number;
}

/** Medians of the first and the last third. */
export interface Change {
  readonly first: number;
  readonly last: number;
}

export type Throttling = Readonly<Partial<Record<keyof Omit<Conditions, 'atSeconds'>, Change>>>;

export interface SustainedRates {
  /** For `DeviceProfile.sustainedShare`: above 0 to 1. */
  readonly sustainedShare: number;
  readonly series: readonly { readonly atSeconds: number; readonly flopsPerSecond: number }[];
  readonly conditions: readonly Conditions[];
  readonly throttling: Throttling;
}

/**
 * Runs training rounds without a pause, but for the looks at the machine, and says what share of its first rate it keeps.
 *
 * @throws if duration, tokens or the layer's work are no positive numbers, or fewer than nine rounds fit into the duration.
 */
export async function measureSustained(
  layer: MeasurableLayer,
  { clock, durationSeconds, tokens = 256, sample, sampleEverySeconds = 1, signal }: MeasureSustainedOptions,
): Promise<SustainedRates> {
  const work = checkedWork('measureSustained', layer, tokens, { durationSeconds, sampleEverySeconds });
  const flops = work.forward + work.input + work.weight;
  const series: { atSeconds: number; flopsPerSecond: number }[] = [];
  const conditions: Conditions[] = [];
  const start = clock();
  let sampleDue = start;
  let from = start;
  while (from - start < durationSeconds && signal?.aborted !== true) {
    if (sample && from >= sampleDue) {
      conditions.push({ ...conditionsOf(await sample()), atSeconds: from - start });
      sampleDue = from + sampleEverySeconds;
      from = clock();
    }
    layer.forward(tokens);
    layer.backwardBoth(tokens);
    const end = clock();
    if (!(end > from))
      throw new Error(
        `jetson/measureSustained: a round of ${tokens} tokens took no time by this clock; measure more tokens at a time`,
      );
    series.push({ atSeconds: end - start, flopsPerSecond: flops / (end - from) });
    from = end;
  }
  return {
    sustainedShare: fitSustainedShare(series.map(({ flopsPerSecond }) => flopsPerSecond)),
    series,
    conditions,
    throttling: fitThrottling(conditions),
  };
}

/**
 * Median of the last third over median of the first third, at most 1.
 *
 * @throws if there are fewer than nine rates.
 */
export function fitSustainedShare(flopsPerSecond: readonly number[]): number {
  if (flopsPerSecond.length < 9)
    throw new Error(
      `jetson/fitSustainedShare: needs 9 rounds or more, got ${flopsPerSecond.length}; run longer or with fewer tokens`,
    );
  const { first, last } = changeOf(flopsPerSecond);
  return Math.min(1, last / first);
}

/** How heat, clocks and power changed; a figure that was seen fewer than three times is missing. */
export function fitThrottling(conditions: readonly Conditions[]): Throttling {
  const kinds = ['celsius', 'gpuHertz', 'coreHertz', 'watts'] as const;
  return Object.fromEntries(
    kinds.flatMap((kind) => {
      const values = conditions.flatMap(({ [kind]: value }) => (value === undefined ? [] : [value]));
      return values.length < 3 ? [] : [[kind, changeOf(values)]];
    }),
  );
}

function changeOf(values: readonly number[]): Change {
  const third = Math.floor(values.length / 3);
  const [, first] = quartiles(values.slice(0, third));
  const [, last] = quartiles(values.slice(-third));
  return { first, last };
}

/** What a sample says of heat, clocks and power. */
export function conditionsOf({ atSeconds, temperatures, clocks, power }: DeviceSample): Conditions {
  const hottest = hottestOf(temperatures);
  const hertz = clocks.cores.map((core) => core.hertz);
  return {
    atSeconds,
    ...(hottest && { celsius: hottest.celsius }),
    ...(clocks.gpuHertz !== undefined && { gpuHertz: clocks.gpuHertz }),
    ...(hertz.length > 0 && { coreHertz: hertz.reduce((sum, one) => sum + one, 0) / hertz.length }),
    ...(power.total && { watts: power.total.watts }),
  };
}
