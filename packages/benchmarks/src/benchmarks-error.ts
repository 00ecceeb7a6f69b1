/** A failure of a benchmark, with a code to branch on. */

export type BenchmarksErrorCode =
  /** The process that trains the demo's joint baseline ended before it was done. */
  | 'BENCHMARKS_BASELINE_FAILED'
  /** A scene needs an icon style that its renderer was not created with. */
  | 'BENCHMARKS_STYLE_UNKNOWN';

export class BenchmarksError extends Error {
  override readonly name = 'BenchmarksError';
  readonly code: BenchmarksErrorCode;

  constructor(code: BenchmarksErrorCode, where: string, what: string, options?: ErrorOptions) {
    super(`benchmarks/${where}: ${what}`, options);
    this.code = code;
  }
}
