/** What can be wrong, for callers to branch on. */
export type SchedulerErrorCode =
  /** workloads, cluster, changes to it, or options make no sense; `problems` lists all that is wrong */
  | 'SCHEDULER_INPUT_INVALID'
  /** no placement that was found holds the model; `problems` says what would help */
  | 'SCHEDULER_NOTHING_FITS'
  /** no plan that was found keeps to a limit of watts or joules */
  | 'SCHEDULER_LIMIT_EXCEEDED'
  /** a device, task, link, interval or wave that the problem or the plan does not have */
  | 'SCHEDULER_NAME_UNKNOWN'
  /** the devices of a schedule wait for each other for ever */
  | 'SCHEDULER_SCHEDULE_ENDLESS'
  /** a timeline cannot be drawn as asked */
  | 'SCHEDULER_VIEW_INVALID';

/** One thing wrong with the input, and where. */
export interface InputProblem {
  /** Of the field, as in `devices[2].memoryBytes`. */
  readonly path: string;
  readonly message: string;
}

/** Every error of this package that is meant for its caller. */
export class SchedulerError extends Error {
  override readonly name = 'SchedulerError';
  readonly code: SchedulerErrorCode;
  /** All that is wrong with the input at once; empty for other errors. */
  readonly problems: readonly InputProblem[];

  constructor(
    code: SchedulerErrorCode,
    where: string,
    what: string,
    { problems = [], ...options }: ErrorOptions & { readonly problems?: readonly InputProblem[] } = {},
  ) {
    super(`scheduler/${where}: ${what}`, options);
    this.code = code;
    this.problems = problems;
  }
}

/** The error that lists problems, one a line. */
export function problemsError(
  code: SchedulerErrorCode,
  where: string,
  problems: readonly InputProblem[],
): SchedulerError {
  const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`;
  const lines = problems.map(({ path, message }) => `  ${path}: ${message}`);
  return new SchedulerError(code, where, [count, ...lines].join('\n'), { problems });
}
