/** The rate of a stream from the bytes that arrived in equal slots of time. */
import { JetsonError } from '../jetson-error.js';
import { quartilesByRank } from './quartiles-by-rank.js';

/** Bytes per second that a program receives, excluding headers and retransmissions; quartiles are over slots. */
export interface Throughput {
  readonly bytesPerSecond: number;
  readonly lowerQuartile: number;
  readonly upperQuartile: number;
  readonly seconds: number;
}

/**
 * Computes the rate without the first quarter of the slots, because a connection starts slowly, unless nothing arrived after it (a stalled link).
 *
 * @throws JetsonError if there are fewer than four slots or nothing arrived at all.
 */
export function fitThroughput(bytesBySlot: readonly number[], slotSeconds: number): Throughput {
  const later = bytesBySlot.slice(Math.ceil(bytesBySlot.length / 4));
  const counted = later.some((bytes) => bytes > 0) ? later : bytesBySlot;
  const bytes = counted.reduce((sum, slot) => sum + slot, 0);
  if (bytesBySlot.length < 4 || !(bytes > 0) || !(slotSeconds > 0))
    throw new JetsonError(
      'JETSON_MEASUREMENT_TOO_SHORT',
      'fitThroughput',
      `${bytes} bytes arrived in ${bytesBySlot.length} slots of ${slotSeconds} s, too few for a rate; measure longer`,
    );
  const { lowerQuartile, upperQuartile } = quartilesByRank(counted.map((slot) => slot / slotSeconds));
  return {
    bytesPerSecond: bytes / (counted.length * slotSeconds),
    lowerQuartile,
    upperQuartile,
    seconds: counted.length * slotSeconds,
  };
}
