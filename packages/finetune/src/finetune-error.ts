/** What a caller of this package did wrong, with a code to branch on. */

export type FinetuneErrorCode =
  /** The task file cannot be read. */
  | 'FINETUNE_TASK_FILE_UNREADABLE'
  /** A data file is missing or has rows that cannot be used; all problems are listed. */
  | 'FINETUNE_DATA_INVALID'
  /** The output directory is a file, or holds files that no run has written. */
  | 'FINETUNE_DIRECTORY_TAKEN';

export class FinetuneError extends Error {
  override readonly name = 'FinetuneError';
  readonly code: FinetuneErrorCode;

  constructor(code: FinetuneErrorCode, where: string, what: string, options?: ErrorOptions) {
    super(`finetune/${where}: ${what}`, options);
    this.code = code;
  }
}
