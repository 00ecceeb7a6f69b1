/** An input that this package cannot use, with a code to branch on. */

export type FinetuneErrorCode =
  /** The task file cannot be read. */
  | 'FINETUNE_TASK_FILE_UNREADABLE'
  /** Data files are missing or have rows that cannot be used; `problems` lists all of them. */
  | 'FINETUNE_DATA_INVALID'
  /** The output directory is a file, or holds files that no run has written. */
  | 'FINETUNE_DIRECTORY_TAKEN';

export class FinetuneError extends Error {
  override readonly name = 'FinetuneError';
  readonly code: FinetuneErrorCode;
  /** One entry per data file or task with a problem; empty for other codes. */
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
