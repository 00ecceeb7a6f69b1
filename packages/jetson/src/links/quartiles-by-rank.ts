/** Values at the quartiles of a series. */
interface RankedQuartiles {
  readonly least: number;
  readonly lowerQuartile: number;
  readonly median: number;
  readonly upperQuartile: number;
}

/** Finds the minimum and the quartiles as values that occur in the series, which must not be empty. */
export function quartilesByRank(values: readonly number[]): RankedQuartiles {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))] ?? NaN;
  return { least: at(0), lowerQuartile: at(0.25), median: at(0.5), upperQuartile: at(0.75) };
}
