/** What a caller of this package did wrong, with a code to branch on. */

export type WorkloadsErrorCode =
  /** The model has no decoder layer to measure. */
  'WORKLOADS_MODEL_EMPTY';

export class WorkloadsError extends Error {
  override readonly name = 'WorkloadsError';
  readonly code: WorkloadsErrorCode;

  constructor(code: WorkloadsErrorCode, where: string, what: string, options?: ErrorOptions) {
    super(`workloads/${where}: ${what}`, options);
    this.code = code;
  }
}
