/** What an answer's form must provide so that `generate` can follow it; `jsonConstraint` makes one. */

/** A form that an answer must have. */
export interface TokenConstraint {
  /** The tokens that an answer may need at least, if only short tokens fit. */
  readonly minimumTokens: number;
  /** Starts a new answer. */
  start(): ConstraintState;
}

/** One answer under a constraint. */
export interface ConstraintState {
  /** Sets `mask` to 1 for each id that may come next so that the answer can still end within `remaining` tokens. */
  allow(mask: Uint8Array, remaining: number): void;
  /** Whether the answer may end here. */
  readonly mayEnd: boolean;
  /** Whether the answer must end here. */
  readonly isComplete: boolean;
  advance(id: number): void;
}
