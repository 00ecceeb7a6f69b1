/**
 * Resamples with a windowed sinc that has the response of soxr's "HQ", which the reference processors use: −6 dB at 0.957 and −100 dB at
 * 0.998 of the lower rate's half. Waves differ from its by less than 1e-3 but for the first samples of an abrupt start.
 */
import { ModelError } from '../model-error.js';

/** Of the Kaiser window, and its half width in samples of the lower rate. */
const [beta, halfWidth, cutoff] = [12.6, 97, 0.95685];

/** Weights that are kept at most: 64 MiB. */
const mostWeights = 2 ** 23;

/**
 * `ceil(samples · to / from)` samples; outside of the signal is silence. Equal rates return the samples themselves.
 *
 * @throws ModelError (`MODEL_UNSUPPORTED`) for rates whose ratio has terms too large to filter by.
 */
export function resample(samples: Float32Array, from: number, to: number): Float32Array {
  if (from === to) return samples;
  const { step, phases, stretch, reach, taps } = requireRatio(from, to);
  const half = (taps - 1) / 2;
  const filters: (Float64Array | undefined)[] = [];
  const filterOf = (phase: number) =>
    (filters[phase] ??= Float64Array.from({ length: taps }, (_, tap) =>
      weightAt(tap - half - phase / phases, { stretch, reach }),
    ));
  const result = new Float32Array(resampledLength(samples.length, from, to));
  for (let i = 0; i < result.length; i++) {
    const [center, phase] = [Math.floor((i * step) / phases), (i * step) % phases];
    const filter = filterOf(phase);
    let sum = 0;
    const first = Math.max(0, half - center);
    const end = Math.min(taps, samples.length - center + half);
    for (let tap = first; tap < end; tap++) sum += samples[center - half + tap]! * filter[tap]!;
    result[i] = sum;
  }
  return result;
}

export const resampledLength = (samples: number, from: number, to: number): number =>
  Math.ceil((samples * to) / from);

/** The terms of a ratio of rates, and how far a filter between them reaches. @throws ModelError as {@link resample}. */
export function requireRatio(from: number, to: number) {
  const divisor = greatestCommonDivisor(from, to);
  const [step, phases] = [from / divisor, to / divisor];
  const stretch = Math.max(1, from / to);
  const reach = halfWidth * stretch;
  const taps = 2 * Math.ceil(reach) + 1;
  if (from !== to && !(phases * taps <= mostWeights))
    throw new ModelError(
      'MODEL_UNSUPPORTED',
      'resample',
      `${from} samples per second cannot be resampled to ${to}, because the ratio ${phases}/${step} has too large terms; convert the file to 44,100 or 48,000`,
    );
  return { step, phases, stretch, reach, taps };
}

/** The weight of a sample at a distance from the new one, in samples of the old rate. */
function weightAt(distance: number, { stretch, reach }: { stretch: number; reach: number }): number {
  const share = distance / reach;
  if (Math.abs(share) > 1) return 0;
  const x = (Math.PI * cutoff * distance) / stretch;
  const sinc = x === 0 ? 1 : Math.sin(x) / x;
  return ((cutoff / stretch) * sinc * bessel0(beta * Math.sqrt(1 - share * share))) / bessel0(beta);
}

/** The modified Bessel function of the first kind and order 0, by its power series. */
function bessel0(x: number): number {
  let [sum, term] = [1, 1];
  for (let k = 1; term > sum * 1e-17; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

const greatestCommonDivisor = (a: number, b: number): number =>
  b === 0 ? a : greatestCommonDivisor(b, a % b);
