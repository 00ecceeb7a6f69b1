/** What a device's rates say about a kind of work and a number of samples. */
import type { ComputeRates, DeviceProfile, Rate } from './cluster.js';

export const rateOf = (
  { flopsPerSecond: rates }: Pick<DeviceProfile, 'flopsPerSecond'>,
  kind: keyof ComputeRates,
): Rate => (typeof rates === 'object' && 'forward' in rates ? rates[kind] : rates);

/** FLOP/s at so many samples: linear between the points, constant outside. */
export function rateAt(rate: Rate, samples: number): number {
  if (typeof rate === 'number') return rate;
  const next = rate.findIndex((point) => point.samples >= samples);
  const [before, after] = [rate[next - 1], next < 0 ? rate.at(-1)! : rate[next]!];
  if (next < 0 || !before) return after.flopsPerSecond;
  const part = (samples - before.samples) / (after.samples - before.samples);
  return before.flopsPerSecond + part * (after.flopsPerSecond - before.flopsPerSecond);
}

/** FLOP/s that no number of samples exceeds. */
export const fastestRate = (rate: Rate): number =>
  typeof rate === 'number' ? rate : Math.max(...rate.map(({ flopsPerSecond }) => flopsPerSecond));

/** The rates times a factor. */
export function scaleRates(rates: DeviceProfile['flopsPerSecond'], factor: number): typeof rates {
  if (typeof rates === 'object' && 'forward' in rates) {
    const { forward, input, weight } = rates;
    return {
      forward: scaleRate(forward, factor),
      input: scaleRate(input, factor),
      weight: scaleRate(weight, factor),
    };
  }
  return scaleRate(rates, factor);
}

export const scaleRate = (rate: Rate, factor: number): Rate =>
  typeof rate === 'number'
    ? rate * factor
    : rate.map((point) => ({ ...point, flopsPerSecond: point.flopsPerSecond * factor }));

/** FLOP/s over forward, input and weight work in equal parts, at the number of samples that suits each best. */
export function meanRate(device: Pick<DeviceProfile, 'flopsPerSecond'>): number {
  const kinds = ['forward', 'input', 'weight'] as const;
  return 3 / kinds.reduce((sum, kind) => sum + 1 / fastestRate(rateOf(device, kind)), 0);
}
