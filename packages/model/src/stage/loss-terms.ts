/** What a loss is computed of, as plain JSON. */

/** A part of the loss: over these rows of `[batch · time]`, the index of each one's right column, and its weight. */
export interface LossTerms {
  readonly rows: readonly number[];
  readonly targets: readonly number[];
  readonly weights: readonly number[];
  /** Of the vocabulary; all when absent. */
  readonly columns?: readonly number[];
}
