/** Whether two streams of data share a medium. */
import { JetsonError } from '../jetson-error.js';

export interface StreamRates {
  /** Bytes per second of each stream alone. */
  readonly alone: readonly [number, number];
  /** What each tries to send at the same time: less than alone, but together more than one medium carries. */
  readonly offered: readonly [number, number];
  /** What arrives at the same time. */
  readonly together: readonly [number, number];
  /** The larger share of lost datagrams, if known. */
  readonly loss?: number;
}

export interface Sharing extends StreamRates {
  /** Airtime of both together: at most 1 if they share a medium, `offeredAirtime` if they do not affect each other. */
  readonly airtime: number;
  readonly offeredAirtime: number;
  /** `unclear` lies between the two: measure longer, or when the network is quiet. */
  readonly verdict: 'shared' | 'separate' | 'unclear';
}

/** From this loss on, TCP falls below an offered rate on any medium, so that only `separate` can be concluded. */
const lossy = 0.003;

/** Where the airtime lies between 1 (0) and the offered airtime (1); measurements reach neither end exactly. */
const maxShared = 0.35;
const minSeparate = 0.65;

/**
 * Decides whether two streams share a medium, from their rates alone and together; streams divide a medium's time, whatever their rates.
 *
 *   airtime = together₁ / alone₁ + together₂ / alone₂
 *
 * @throws JetsonError if a rate is not finite, a rate alone is not above 0, or one medium could carry what is offered.
 */
export function fitSharing({ alone, offered, together, loss = 0 }: StreamRates): Sharing {
  for (const [name, rates] of Object.entries({ alone, offered, together }))
    for (const rate of rates)
      if (!(Number.isFinite(rate) && (name === 'together' ? rate >= 0 : rate > 0)))
        throw invalid(`${name} must be two rates in bytes per second, got ${rates.join(' and ')}`);
  const airtimeOf = ([first, second]: readonly [number, number]) => first / alone[0] + second / alone[1];
  const [airtime, offeredAirtime] = [airtimeOf(together), airtimeOf(offered)];
  if (!(offeredAirtime > 1))
    throw invalid(
      `the offered rates take ${offeredAirtime} of one medium's airtime; they must take more than 1 to show a difference`,
    );
  const place = (airtime - 1) / (offeredAirtime - 1);
  const verdict =
    place >= minSeparate ? 'separate' : place <= maxShared && loss < lossy ? 'shared' : 'unclear';
  return { alone, offered, together, loss, airtime, offeredAirtime, verdict };
}

const invalid = (what: string) => new JetsonError('JETSON_ARGUMENT_INVALID', 'fitSharing', what);
