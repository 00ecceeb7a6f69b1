/** Which of several timings were of a process that had its processor to itself. */

export interface Timing {
  readonly seconds: number;
  /** That the process had of all processors; undefined where nobody counts. */
  readonly cpuSeconds?: number | undefined;
}

/** A process that computes without a pause and is never interrupted has all of one core, or of more with threads. */
const leastShare = 0.97;

/**
 * The timings during which the process was not kept waiting for a processor; all of them where fewer than `fewest` are such, or where nobody
 * counts. What disturbs without waiting (a neighbour on the same core's other thread, memory, heat) is not seen.
 */
export function undisturbed<T extends Timing>(timings: readonly T[], fewest: number): readonly T[] {
  const quiet = timings.filter(
    ({ seconds, cpuSeconds }) => cpuSeconds !== undefined && cpuSeconds >= leastShare * seconds,
  );
  return quiet.length >= fewest ? quiet : timings;
}
