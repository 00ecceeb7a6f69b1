/** An input that this package cannot use, with a code to branch on. */

export type FinetuneErrorCode =
  /** The task file cannot be read. */
  | 'FINETUNE_TASK_FILE_UNREADABLE'
  /** Data files are missing or have rows that cannot be used; `problems` lists all of them. */
  | 'FINETUNE_DATA_INVALID'
  /** A configuration file cannot be read, or settings make no sense; `problems` lists all of them. */
  | 'FINETUNE_SETTINGS_INVALID'
  /** The output directory is a file, holds files that no run has written, or a run that is neither to be resumed nor to be replaced. */
  | 'FINETUNE_DIRECTORY_TAKEN'
  /** A directory is not that of a run. */
  | 'FINETUNE_RUN_MISSING'
  /** A path is nothing that can be inspected. */
  | 'FINETUNE_PATH_UNKNOWN'
  /** A run has no task of that name. */
  | 'FINETUNE_TASK_UNKNOWN'
  /** A run was stopped before it had trained the task. */
  | 'FINETUNE_TASK_UNTRAINED'
  /** A run that was stopped before its end cannot be changed. */
  | 'FINETUNE_RUN_UNFINISHED'
  /** A change that the run's tasks do not allow, or that is none. */
  | 'FINETUNE_CHANGE_INVALID'
  /** Another process is at work in the directory of a run. */
  | 'FINETUNE_RUN_LOCKED'
  /** The run to resume was begun with other inputs; `problems` lists those that differ. */
  | 'FINETUNE_RUN_FOREIGN'
  /** Files of a run are not as they were written; `problems` lists them if they are several. */
  | 'FINETUNE_RUN_DAMAGED';

export class FinetuneError extends Error {
  override readonly name = 'FinetuneError';
  readonly code: FinetuneErrorCode;
  /** One entry per problem, where several are looked for. */
  readonly problems: readonly string[];

  constructor(
    code: FinetuneErrorCode,
    where: string,
    what: string,
    { problems = [], ...options }: ErrorOptions & { readonly problems?: readonly string[] } = {},
  ) {
    super(`finetune/${where}: ${what}`, options);
    this.code = code;
    this.problems = problems;
  }
}
