/** What a run does with rows that are too long. It decides nothing but the rows, so it is no setting, yet whoever reads rows for the run later has to do the same. */
import type { FitRowsOptions } from './fit-rows.js';

export type RowLimits = Pick<FitRowsOptions, 'longRows' | 'maximumTokens' | 'truncationSide'>;

/** The limits in a configuration. */
export function rowLimitsOf({ longRows, maximumTokens, truncationSide }: Unset<RowLimits>): RowLimits {
  return {
    ...(longRows === undefined ? {} : { longRows }),
    ...(maximumTokens === undefined ? {} : { maximumTokens }),
    ...(truncationSide === undefined ? {} : { truncationSide }),
  };
}

type Unset<Value> = { readonly [Key in keyof Value]?: Value[Key] | undefined };
