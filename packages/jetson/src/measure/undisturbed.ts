/** Which of several timings are of a process that did not have to wait for a processor. */

export interface Timing {
  readonly seconds: number;
  /** Processor time of the process meanwhile, over all cores; absent if not measured. */
  readonly cpuSeconds?: number | undefined;
}

/** A process that computes without a pause and is never interrupted uses all of one core, or more with threads. */
const minimumShare = 0.97;

/**
 * Returns the timings during which the process did not wait for a processor, or all of them if there are fewer than `minimum` of these.
 *
 * It cannot see what slows a process down without making it wait: another thread on the same core, memory, heat.
 */
export function undisturbed<T extends Timing>(timings: readonly T[], minimum: number): readonly T[] {
  const quiet = timings.filter(
    ({ seconds, cpuSeconds }) => cpuSeconds !== undefined && cpuSeconds >= minimumShare * seconds,
  );
  return quiet.length >= minimum ? quiet : timings;
}
