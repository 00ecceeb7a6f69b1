/** An input that this package cannot use, with a code to branch on. */

export type WorkloadsErrorCode =
  /** The model has no decoder layer to measure. */
  | 'WORKLOADS_MODEL_EMPTY'
  /** There is no task to train, or a task has no training example to measure with. */
  | 'WORKLOADS_EXAMPLES_MISSING'
  /** There is no workload of a task. */
  | 'WORKLOADS_TASK_UNKNOWN';

export class WorkloadsError extends Error {
  override readonly name = 'WorkloadsError';
  readonly code: WorkloadsErrorCode;

  constructor(code: WorkloadsErrorCode, where: string, what: string, options?: ErrorOptions) {
    super(`workloads/${where}: ${what}`, options);
    this.code = code;
  }
}
