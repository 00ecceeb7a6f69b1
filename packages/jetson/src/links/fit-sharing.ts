/** Whether two streams of data divide one medium. */

export interface StreamRates {
  /** Bytes per second of each stream by itself. */
  readonly alone: readonly [number, number];
  /** Of each while the other runs too. */
  readonly together: readonly [number, number];
}

export interface Sharing extends StreamRates {
  /** Sum of what each keeps of its rate: 2 where they do not disturb each other, 1 where they divide one medium. */
  readonly keptShares: number;
  /** `unclear`: between the two; measure longer, or when the network is quiet. */
  readonly verdict: 'shared' | 'separate' | 'unclear';
}

/** One medium's airtime is divided, whatever the rates: a′/a + b′/b ≤ 1, with a little above it from measuring. */
const sharedAtMost = 1.3;
const separateAtLeast = 1.6;

/**
 * Says whether two streams share a medium, by their rates alone and at once.
 *
 * @throws if a rate is no finite number, or one alone is not above 0.
 */
export function fitSharing({ alone, together }: StreamRates): Sharing {
  for (const [name, rates] of Object.entries({ alone, together }))
    for (const rate of rates)
      if (!(Number.isFinite(rate) && (name === 'alone' ? rate > 0 : rate >= 0)))
        throw new Error(
          `jetson/fitSharing: ${name} must be two rates in bytes per second, got ${rates.join(' and ')}`,
        );
  const keptShares = together[0] / alone[0] + together[1] / alone[1];
  const verdict =
    keptShares <= sharedAtMost ? 'shared' : keptShares >= separateAtLeast ? 'separate' : 'unclear';
  return { alone, together, keptShares, verdict };
}
