/** The errors of this package that are meant for a caller. */

export type TrainerErrorCode =
  /** A step changed a segment that it had to freeze or mask; `tasks` names the segments, and the results of the phase must be discarded. */
  | 'TRAINER_FREEZE_VIOLATED'
  /** A data file cannot be used; `problems` has one entry per bad line. */
  | 'TRAINER_DATA_INVALID'
  /** A checkpoint cannot be read, or was not written by this package. */
  | 'TRAINER_CHECKPOINT_DAMAGED'
  /** A checkpoint belongs to a run with other inputs; `problems` names each that differs. */
  | 'TRAINER_CHECKPOINT_FOREIGN'
  /** A loss or a gradient is NaN or infinite; the step was not applied, and `tasks` names the task. */
  | 'TRAINER_NOT_FINITE'
  /** A task has had no gradient for many steps, and has not been learned; `tasks` names it. */
  | 'TRAINER_STUCK'
  /** Arguments that make no sense, such as a task without examples. */
  | 'TRAINER_INPUT_INVALID';

export class TrainerError extends Error {
  override readonly name = 'TrainerError';
  readonly code: TrainerErrorCode;
  /** The tasks that an error is about: for `TRAINER_FREEZE_VIOLATED`, those whose segments changed. */
  readonly tasks: readonly string[];
  /** Every problem found, where more than one was looked for; of a data file at most the first hundred. */
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
