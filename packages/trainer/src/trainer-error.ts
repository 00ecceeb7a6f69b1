/** The errors of this package that are meant for a caller. */

export type TrainerErrorCode =
  /** A step changed a segment that it had to freeze or mask; `tasks` names the segments, and the results of the phase must be discarded. */
  | 'TRAINER_FREEZE_VIOLATED'
  /** A data file cannot be used; `problems` has one entry per bad line. */
  | 'TRAINER_DATA_INVALID'
  /** A checkpoint cannot be read, or was not written by this package. */
  | 'TRAINER_CHECKPOINT_DAMAGED'
  /** A checkpoint belongs to a run with other inputs. */
  | 'TRAINER_CHECKPOINT_FOREIGN'
  /** Arguments that make no sense, such as a task without examples. */
  | 'TRAINER_INPUT_INVALID';

export class TrainerError extends Error {
  override readonly name = 'TrainerError';
  readonly code: TrainerErrorCode;
  /** The tasks whose segments changed, for `TRAINER_FREEZE_VIOLATED`. */
  readonly tasks: readonly string[];
  /** The problems of a data file, for `TRAINER_DATA_INVALID`; at most the first hundred. */
  readonly problems: readonly string[];
  constructor(
    code: TrainerErrorCode,
    where: string,
    what: string,
    {
      tasks = [],
      problems = [],
      problemCount = problems.length,
      ...options
    }: ErrorOptions & {
      readonly tasks?: readonly string[];
      readonly problems?: readonly string[];
      /** All problems, if they are more than `problems`. */
      readonly problemCount?: number;
    } = {},
  ) {
    const shown = problems.map((problem) => `  ${problem}`);
    const rest =
      problemCount > problems.length
        ? [`  … and ${problemCount - problems.length} more (${problemCount} problems)`]
        : [];
    super([`trainer/${where}: ${what}`, ...shown, ...rest].join('\n'), options);
    this.code = code;
    this.tasks = tasks;
    this.problems = problems;
  }
}
