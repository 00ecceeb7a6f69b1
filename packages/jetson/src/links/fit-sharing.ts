/** Whether two streams of data divide one medium. */

export interface StreamRates {
  /** Bytes per second of each stream by itself. */
  readonly alone: readonly [number, number];
  /** What each tries to send while the other does too: less than alone, but together more than one medium carries. */
  readonly offered: readonly [number, number];
  /** What of it arrives. */
  readonly together: readonly [number, number];
  /** The larger share of datagrams that got lost, where it is known. */
  readonly loss?: number;
}

export interface Sharing extends StreamRates {
  /** Airtime that both take at once: at most 1 where they divide one medium, `offeredAirtime` where they do not disturb each other. */
  readonly airtime: number;
  readonly offeredAirtime: number;
  /** `unclear`: between the two; measure longer, or when the network is quiet. */
  readonly verdict: 'shared' | 'separate' | 'unclear';
}

/** From here on TCP does not keep to an offered rate, shared medium or not: then only that streams are separate can be seen. */
const lossy = 0.003;

/** Where the airtime lies between 1 and what is offered: measuring is not exact at either end. */
const sharedAtMost = 0.35;
const separateAtLeast = 0.65;

/**
 * Says whether two streams share a medium, by their rates alone and at once.
 *
 *   airtime = together₁ / alone₁ + together₂ / alone₂
 *
 * A medium's time is divided, whatever the rates of those who use it.
 *
 * @throws if a rate is no finite number, one alone is not above 0, or one medium could carry what is offered.
 */
export function fitSharing({ alone, offered, together, loss = 0 }: StreamRates): Sharing {
  for (const [name, rates] of Object.entries({ alone, offered, together }))
    for (const rate of rates)
      if (!(Number.isFinite(rate) && (name === 'together' ? rate >= 0 : rate > 0)))
        throw new Error(
          `jetson/fitSharing: ${name} must be two rates in bytes per second, got ${rates.join(' and ')}`,
        );
  const airtimeOf = ([first, second]: readonly [number, number]) => first / alone[0] + second / alone[1];
  const [airtime, offeredAirtime] = [airtimeOf(together), airtimeOf(offered)];
  if (!(offeredAirtime > 1))
    throw new Error(
      `jetson/fitSharing: what is offered takes ${offeredAirtime} of one medium's airtime; it must be more than 1 to see a difference`,
    );
  const place = (airtime - 1) / (offeredAirtime - 1);
  const verdict =
    place >= separateAtLeast ? 'separate' : place <= sharedAtMost && loss < lossy ? 'shared' : 'unclear';
  return { alone, offered, together, loss, airtime, offeredAirtime, verdict };
}
