/** The share of its rate that a machine keeps when it gets hot, and its temperature, clocks and power meanwhile. */
import { JetsonError } from '../jetson-error.js';
import type { DeviceSample } from '../sensors/sample-device.js';
import { changeOf, type Conditions, conditionsOf, type Throttling, throttlingOf } from './conditions.js';
import { checkedWork, type MeasurableLayer } from './measurable-layer.js';

export interface MeasureSustainedOptions {
  /** Monotonic seconds. */
  readonly clock: () => number;
  readonly durationSeconds: number;
  readonly tokens?: number;
  /** Samples the machine between two rounds; its time does not count towards the rates. */
  readonly sample?: () => Promise<DeviceSample>;
  readonly sampleEverySeconds?: number;
  readonly signal?: AbortSignal;
}

export interface SustainedRates {
  /** For `DeviceProfile.sustainedShare`: above 0, at most 1. */
  readonly sustainedShare: number;
  readonly series: readonly { readonly atSeconds: number; readonly flopsPerSecond: number }[];
  readonly conditions: readonly Conditions[];
  readonly throttling: Throttling;
}

const minimumRounds = 9;

/**
 * Runs training rounds without a pause, except for samples, and measures the share of its first rate that the machine keeps.
 *
 * That share is the median rate of the last third of the rounds over that of the first third, at most 1.
 *
 * @throws JetsonError if duration, tokens or the layer's work is not a positive number, or fewer than nine rounds fit into the duration.
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
      throw tooShort(`a round of ${tokens} tokens took no time by this clock; measure more tokens at a time`);
    series.push({ atSeconds: end - start, flopsPerSecond: flops / (end - from) });
    from = end;
  }
  if (series.length < minimumRounds)
    throw tooShort(
      `needs ${minimumRounds} rounds or more, got ${series.length}; run longer or with fewer tokens`,
    );
  const { first, last } = changeOf(series.map(({ flopsPerSecond }) => flopsPerSecond));
  return {
    sustainedShare: Math.min(1, last / first),
    series,
    conditions,
    throttling: throttlingOf(conditions),
  };
}

const tooShort = (what: string) => new JetsonError('JETSON_MEASUREMENT_TOO_SHORT', 'measureSustained', what);
